#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/args/matmul.h"
#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::pooled_matmul_test {
namespace {

using namespace kernels;

struct Case {
  std::int64_t batch, rows, n, k;
  DType type = DType::f32;
  bool bias = true;
  Activation activation = Activation::relu6;
};

// As of one product; means of numbers that are off by less than that are off by less still.
double tolerance(const Case& which) {
  return 8e-7 * (2 + std::sqrt(static_cast<double>(which.k))) +
         (which.type == DType::f32 ? 0 : half_unit(which.type));
}

void expect_agreement(const Case& which, const char* kernel) {
  SCOPED_TRACE(testing::Message() << "type " << static_cast<int>(which.type) << ": " << which.batch << " x "
                                  << which.rows << " x " << which.n << " x " << which.k);
  const auto data = [](std::int64_t size, std::uint64_t seed) {
    return uniform_data<float>(static_cast<std::size_t>(size), seed);
  };
  const TypedInput a(which.type, data(which.batch * which.rows * which.k, 1));
  const TypedInput b(which.type, data(which.k * which.n, 2));
  const std::vector<float> bias = data(which.n, 3);
  const DeviceBuffer<float> bias_there(bias);

  PooledMatmul args;
  args.batch = which.batch;
  args.rows = which.rows;
  args.n = which.n;
  args.k = which.k;
  args.activation = which.activation;
  args.a = a.host.data();
  args.b = b.host.data();
  if (which.bias) args.bias = bias.data();
  const auto count = static_cast<std::size_t>(which.batch * which.n);
  const auto expected = run_reference<float>(args, &PooledMatmul::c, count);

  args.type = which.type;
  args.a = a.device.data();
  args.b = b.device.data();
  if (which.bias) args.bias = bias_there.data();
  EXPECT_TRUE(close_by_norm(run_typed(args, kernel, &PooledMatmul::c, count), expected, tolerance(which)));
}

// Blocks take 64 rows and 32 columns at a time, in steps of 32 of the depth.
TEST(CudaPooledMatmul, PoolsByTensorCores) {
  PILA_NEEDS_DEVICE();
  for (const DType type : {DType::f16, DType::bf16}) {
    for (const std::int64_t rows : {1, 16, 49, 64, 65, 144}) {
      for (const std::int64_t n : {8, 32, 40}) {
        expect_agreement({2, rows, n, 40, type}, "pooled_matmul_tensor_cores");
      }
    }
    expect_agreement({1, 49, 72, 320, type}, "pooled_matmul_tensor_cores");
    expect_agreement({1, 10, 16, 8, type, false, Activation::silu}, "pooled_matmul_tensor_cores");
    expect_agreement({0, 10, 16, 8, type}, "pooled_matmul_tensor_cores");
  }
}

// 64 rows and 64 columns, in steps of 16.
TEST(CudaPooledMatmul, PoolsInPlainFloat32) {
  PILA_NEEDS_DEVICE();
  for (const std::int64_t rows : {1, 49, 63, 64, 65, 130}) {
    for (const std::int64_t n : {1, 64, 67}) expect_agreement({2, rows, n, 19}, "pooled_matmul_f32");
  }
  expect_agreement({1, 49, 72, 320, DType::f32, false, Activation::none}, "pooled_matmul_f32");
  expect_agreement({2, 9, 13, 16, DType::f16}, "pooled_matmul_f16");
  expect_agreement({2, 9, 16, 13, DType::bf16}, "pooled_matmul_bf16");
}

}  // namespace
}  // namespace pila::test::pooled_matmul_test
