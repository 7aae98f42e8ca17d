#include "kernels/args/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/kernels/cuda/matrices.h"
#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::matmul_test {
namespace {

using namespace kernels;

struct Case {
  std::int64_t m, n, k;
  DType type = DType::f32;
  bool transpose_a = false, transpose_b = false;
  bool bias = false, residual = false;
  Activation activation = Activation::none;
  Precision rounding = Precision::f32;

  std::string name() const {
    return "type " + std::to_string(static_cast<int>(type)) + ": " + std::to_string(m) + " x " +
           std::to_string(n) + " x " + std::to_string(k) + (transpose_a ? " at" : "") +
           (transpose_b ? " bt" : "") + (bias ? " bias" : "") + (residual ? " residual" : "") +
           " activation " + std::to_string(static_cast<int>(activation)) + " rounding " +
           std::to_string(static_cast<int>(rounding));
  }
};

// A float32 sum of k products of random signs is off by about sqrt(k) roundings of its own size, twice that
// where a GPU's tensor cores cut off instead of rounding; what is stored is rounded once more.
double tolerance(const Case& which) {
  return 8e-7 * (2 + std::sqrt(static_cast<double>(which.k))) +
         (which.type == DType::f32 ? 0 : half_unit(which.type));
}

void expect_agreement(const Case& which, const char* kernel) {
  SCOPED_TRACE(which.name());
  const std::int64_t distinct = which.transpose_a ? which.m : std::min(which.m, kDistinctRows);
  const std::vector<float> a = rounded(which.type, random_matrix(distinct, which.k, 1));
  const std::vector<float> b = rounded(which.type, random_matrix(which.k, which.n, 2));
  const std::vector<float> residual = rounded(which.type, random_matrix(distinct, which.n, 4));
  const std::vector<float> bias = random_matrix(1, which.n, 3);

  Matmul args;
  args.m = distinct;
  args.n = which.n;
  args.k = which.k;
  args.transpose_a = which.transpose_a;
  args.transpose_b = which.transpose_b;
  args.rounding.to = which.rounding;
  args.epilogue.activation = which.activation;
  args.a = a.data();
  args.b = b.data();
  if (which.bias) args.epilogue.bias = bias.data();
  if (which.residual) args.epilogue.residual = residual.data();
  const auto expected = run_reference<float>(args, &Matmul::c, static_cast<std::size_t>(distinct * which.n));

  const DeviceBuffer<unsigned char> a_there(to_bytes(which.type, repeat(a, which.m * which.k)));
  const DeviceBuffer<unsigned char> b_there(to_bytes(which.type, b));
  const DeviceBuffer<unsigned char> residual_there(to_bytes(which.type, repeat(residual, which.m * which.n)));
  const DeviceBuffer<float> bias_there(bias);
  args.type = which.type;
  args.m = which.m;
  args.a = a_there.data();
  args.b = b_there.data();
  if (which.bias) args.epilogue.bias = bias_there.data();
  if (which.residual) args.epilogue.residual = residual_there.data();
  const auto count = static_cast<std::size_t>(which.m * which.n);
  EXPECT_TRUE(close_by_norm(run_typed(args, kernel, &Matmul::c, count), repeat(expected, which.m * which.n),
                            tolerance(which)));
}

constexpr DType k16Bits[] = {DType::f16, DType::bf16};
constexpr bool kBoth[] = {false, true};

// What tensor cores multiply.
struct Factors {
  DType type;
  Precision rounding = Precision::f32;
};
constexpr Factors kFactors[] = {{DType::f16}, {DType::bf16}, {DType::f32, Precision::tf32}};

void expect_by_tensor_cores(Case which, const Factors& factors) {
  which.type = factors.type;
  which.rounding = factors.rounding;
  expect_agreement(which, "matmul_tensor_cores");
}

// Products of few rows: blocks make 16 x 32 sums, in steps of 256 of the depth, or 128 of TF32.
TEST(CudaMatmul, MultipliesFewRowsByTensorCores) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    for (const std::int64_t m : {1, 15, 16, 17, 49}) {
      for (const std::int64_t n : {8, 24, 32, 40}) {
        for (const std::int64_t k : {8, 16, 40}) expect_by_tensor_cores({m, n, k}, factors);
      }
    }
    for (const std::int64_t k : {120, 128, 136, 248, 256, 264, 1280}) {
      expect_by_tensor_cores({3, 72, k, {}, false, false, true}, factors);
    }
  }
  expect_by_tensor_cores({5, 12, 20, {}, false, false, true, true}, kFactors[2]);  // packs of four
}

// The depth of few tiles is cut into parts of a multiple of 256, whose sums are added in order.
TEST(CudaMatmul, CutsLongSumsOfTensorCores) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    expect_by_tensor_cores({20, 16, 2048, {}, false, false, true, true, Activation::relu6}, factors);
    expect_by_tensor_cores({9, 72, 2056, {}, false, true}, factors);
    expect_by_tensor_cores({40, 24, 2051, {}, true, false, true}, factors);  // a depth that ends anywhere
  }
  expect_by_tensor_cores({128, 136, 2048, {}, true}, kFactors[1]);
}

// Gradients' products: 64 x 64 sums, or, of many, 128 x 128.
TEST(CudaMatmul, MultipliesTransposedByTensorCores) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    for (const std::int64_t m : {8, 64, 72}) {
      for (const std::int64_t n : {8, 64, 136}) {
        for (const std::int64_t k : {8, 32, 40}) {
          expect_by_tensor_cores({m, n, k, {}, true, false, true, true, Activation::relu6}, factors);
          expect_by_tensor_cores({m, n, k, {}, false, true, true, true, Activation::relu6}, factors);
        }
      }
    }
    for (const std::int64_t k : {1, 31, 33}) expect_by_tensor_cores({16, 24, k, {}, true}, factors);
    for (const std::int64_t m : {1, 63, 65}) expect_by_tensor_cores({m, 24, 16, {}, false, true}, factors);
    expect_by_tensor_cores({128 * 48, 256, 40, {}, false, true}, factors);
    expect_by_tensor_cores({128 * 12, 128 * 8 - 8, 24, {}, true}, factors);
  }
}

// Enough rows for the larger tiles, 96 of them; the depth is taken in steps of 32.
TEST(CudaMatmul, MultipliesManyRowsByTensorCores) {
  PILA_NEEDS_DEVICE();
  constexpr auto kName = "matmul_tensor_cores";
  expect_agreement({128 * 96, 32, 32, DType::bf16, false, false, true, true}, kName);
  expect_agreement({128 * 96 + 1, 24, 72, DType::f16}, kName);
  expect_agreement({128 * 96, 64, 32, DType::bf16}, kName);
  expect_agreement({128 * 95 + 3, 40, 72, DType::f16, false, false, true, true, Activation::relu6}, kName);
  expect_agreement({128 * 48, 256, 32, DType::bf16}, kName);
  expect_agreement({128 * 47 + 9, 248, 8, DType::f16, false, false, false, true}, kName);
  expect_agreement({64 * 32, 192, 32, DType::bf16}, kName);
  expect_agreement({64 * 32 + 7, 184, 136, DType::f16, false, false, true, true}, kName);
}

TEST(CudaMatmul, AppliesEveryEpilogue) {
  PILA_NEEDS_DEVICE();
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    for (const auto activation :
         {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
      for (const bool bias : kBoth) {
        for (const bool residual : kBoth) {
          const Case which{19, 40, 24, type, false, false, bias, residual, activation};
          expect_agreement(which, type == DType::f32 ? "matmul_f32" : "matmul_tensor_cores");
        }
      }
    }
  }
}

// Tiles of plain float32 are 64 x 64, and 16 deep.
TEST(CudaMatmul, MultipliesAnythingInPlainFloat32) {
  PILA_NEEDS_DEVICE();
  for (const bool transpose_a : kBoth) {
    for (const bool transpose_b : kBoth) {
      for (const std::int64_t m : {1, 63, 64, 65}) {
        for (const std::int64_t n : {1, 31, 64, 67}) {
          for (const std::int64_t k : {1, 15, 16, 17, 33}) {
            expect_agreement({m, n, k, DType::f32, transpose_a, transpose_b, true}, "matmul_f32");
          }
        }
      }
      expect_agreement({13, 17, 19, DType::f16, transpose_a, transpose_b, true, true}, "matmul_f16");
      expect_agreement({13, 17, 19, DType::bf16, transpose_a, transpose_b, true, true}, "matmul_bf16");
    }
  }
  for (const DType type : k16Bits) {
    const char* name = type == DType::f16 ? "matmul_f16" : "matmul_bf16";
    expect_agreement({70, 9, 16, type}, name);
    expect_agreement({5, 16, 7, type}, name);
    expect_agreement({12, 16, 24, type, true}, name);
    expect_agreement({8, 16, 20, type, false, true}, name);
    expect_agreement({8, 16, 24, type, true, true}, name);
  }
}

// Float32 that may be rounded, and whose rows begin anywhere.
TEST(CudaMatmul, LeavesWhatTensorCoresDoNotTake) {
  PILA_NEEDS_DEVICE();
  Matmul args;
  args.rounding.to = Precision::tf32;
  args.m = args.k = 4;
  args.n = 10;
  const std::vector<float> a = random_matrix(4, 4, 1), b = random_matrix(4, 10, 2);
  const DeviceBuffer<float> a_there(a), b_there(b);
  args.a = a_there.data();
  args.b = b_there.data();
  const auto actual = run_on_device<float>(args, "matmul_f32", &Matmul::c, 40);
  args.rounding.to = Precision::f32;
  args.a = a.data();
  args.b = b.data();
  EXPECT_TRUE(close_by_norm(actual, run_reference<float>(args, &Matmul::c, 40), 4e-6));
}

// The depth is cut into parts of at least 256, whose sums are added in order.
TEST(CudaMatmul, CutsLongSums) {
  PILA_NEEDS_DEVICE();
  for (const std::int64_t k : {511, 512, 513, 2000}) {
    expect_agreement({3, 70, k, DType::f32, false, false, true, true, Activation::relu6}, "matmul_f32");
    expect_agreement({27, 24, k, DType::f32, true}, "matmul_f32");
    expect_agreement({9, 11, k, DType::bf16, true, true, true, true}, "matmul_bf16");
  }
}

TEST(CudaMatmul, TakesEmptyOperands) {
  PILA_NEEDS_DEVICE();
  expect_agreement({0, 8, 8}, "matmul_f32");
  expect_agreement({5, 0, 8}, "matmul_f32");
  expect_agreement({5, 40, 0, DType::f32, false, false, true, false, Activation::relu6}, "matmul_f32");
  expect_agreement({0, 8, 8, DType::f16}, "matmul_tensor_cores");
  expect_agreement({5, 8, 0, DType::f16, false, false, true}, "matmul_f16");
}

TEST(CudaMatmul, PassesOnNaN) {
  PILA_NEEDS_DEVICE();
  for (const DType type : {DType::f32, DType::f16}) {
    for (const auto activation : {Activation::relu, Activation::relu6, Activation::silu}) {
      std::vector<float> a(3 * 16, 1);
      a[16 + 5] = std::nanf("");
      const TypedInput left(type, a), right(type, std::vector<float>(16 * 8, 0.5f));
      Matmul args;
      args.type = type;
      args.m = 3;
      args.n = 8;
      args.k = 16;
      args.a = left.device.data();
      args.b = right.device.data();
      args.epilogue.activation = activation;
      const auto c =
          run_typed(args, type == DType::f32 ? "matmul_f32" : "matmul_tensor_cores", &Matmul::c, 24);
      for (std::size_t i = 0; i < c.size(); ++i) EXPECT_EQ(std::isnan(c[i]), i / 8 == 1) << i;
    }
  }
}

TEST(CudaMatmul, LeavesRoundedProductsToOthers) {
  PILA_NEEDS_DEVICE();
  Matmul args;
  args.rounding.to = Precision::bf16;
  EXPECT_EQ(device_under_test().table->matmul.select(args), nullptr);
}

}  // namespace
}  // namespace pila::test::matmul_test
