#include "kernels/args/matmul.h"

#include <gtest/gtest.h>

#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::matmul_test {
namespace {

using test::close_by_norm;
using test::GuardedBuffer;
using test::run_entry;
using test::uniform_data;
using test::Written;

template <class T>
void check(std::size_t m, std::size_t n, std::size_t k, bool transpose_a, bool transpose_b) {
  SCOPED_TRACE(testing::Message() << m << "x" << n << "x" << k << (transpose_a ? ", a transposed" : "")
                                  << (transpose_b ? ", b transposed" : ""));
  const GuardedBuffer<T> a(uniform_data<T>(m * k, 1)), b(uniform_data<T>(k * n, 2));
  GuardedBuffer<T> c(m * n);
  Matmul args;
  args.type = sizeof(T) == 8 ? DType::f64 : DType::f32;
  args.m = static_cast<std::int64_t>(m);
  args.n = static_cast<std::int64_t>(n);
  args.k = static_cast<std::int64_t>(k);
  args.transpose_a = transpose_a;
  args.transpose_b = transpose_b;
  args.a = a.data();
  args.b = b.data();
  args.c = c.data();
  run_entry(reference::table(), args);
  EXPECT_TRUE(c.check(Written::all));

  // Row by column, each product of the sum in float64 and the sum itself backwards.
  std::vector<double> expected(m * n);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t p = k; p-- > 0;) {
        const double left = a[transpose_a ? p * m + i : i * k + p];
        expected[i * n + j] += left * b[transpose_b ? j * k + p : p * n + j];
      }
    }
  }
  // float64: roundings of a sum of at most 100 terms; float32: one rounding of the sum.
  EXPECT_TRUE(close_by_norm(c, expected, sizeof(T) == 8 ? 1e-14 : 6e-8));
}

TEST(ReferenceMatmul, AgreesWithRowsTimesColumns) {
  const std::size_t sizes[][3] = {{1, 1, 1},   {1, 65, 3},  {2, 3, 4},    {8, 64, 16},
                                  {9, 65, 17}, {7, 63, 15}, {17, 130, 1}, {5, 1, 100}};
  for (const auto& [m, n, k] : sizes) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        check<double>(m, n, k, transpose_a, transpose_b);
        check<float>(m, n, k, transpose_a, transpose_b);
      }
    }
  }
}

TEST(ReferenceMatmul, EpilogueAddsBiasActivatesThenAddsTheResidual) {
  const std::vector<double> a{1, 2, -3, 4}, b{1, 0, 5, 1}, bias{-2, 0.25}, residual{100, 200, 300, 400};
  GuardedBuffer<double> c(4);
  Matmul args;
  args.type = DType::f64;
  args.m = args.n = args.k = 2;
  args.a = a.data();
  args.b = b.data();
  args.c = c.data();
  args.epilogue = {bias.data(), residual.data(), Activation::relu};
  run_entry(reference::table(), args);  // products 11 2, 17 4
  EXPECT_EQ(c.values(), (std::vector<double>{109, 202.25, 315, 404.25}));
  args.epilogue = {bias.data(), nullptr, Activation::relu6};
  run_entry(reference::table(), args);
  EXPECT_EQ(c.values(), (std::vector<double>{6, 2.25, 6, 4.25}));
}

// a's channels are its last axis as stored, transposed or not.
TEST(ReferenceMatmul, PrologueNormalisesTheFirstFactor) {
  const std::vector<double> a{1, 2, -3, 4}, b{1, 0, 0, 10};
  const std::vector<double> scaling{1, 2, 2, 0.5, 3, -1};  // means, scales, offsets
  GuardedBuffer<double> c(4);
  Matmul args;
  args.type = DType::f64;
  args.m = args.n = args.k = 2;
  args.a = a.data();
  args.b = b.data();
  args.c = c.data();
  args.prologue = {scaling.data(), Activation::none};
  run_entry(reference::table(), args);  // a becomes 3 -1, -5 0
  EXPECT_EQ(c.values(), (std::vector<double>{3, -10, -5, 0}));
  args.prologue.activation = Activation::relu;
  run_entry(reference::table(), args);  // 3 0, 0 0
  EXPECT_EQ(c.values(), (std::vector<double>{3, 0, 0, 0}));
  args.transpose_a = true;
  args.prologue.activation = Activation::none;
  run_entry(reference::table(), args);  // 3 -5, -1 0
  EXPECT_EQ(c.values(), (std::vector<double>{3, -50, -1, 0}));
}

TEST(ReferenceMatmul, PrologueComesBeforeRounding) {
  const float a = 1, b = 1;
  const std::vector<float> scaling{0, 0x1.01p0f, 0};
  GuardedBuffer<float> c(1);
  Matmul args;
  args.rounding.to = Precision::bf16;
  args.m = args.n = args.k = 1;
  args.a = &a;
  args.b = &b;
  args.c = c.data();
  args.prologue.scaling = scaling.data();
  run_entry(reference::table(), args);
  EXPECT_EQ(c.values(), std::vector<float>{1}) << "0x1.01p0 lies halfway";
}

TEST(ReferenceMatmul, RoundsBothFactorsToBFloat16) {
  const std::vector<float> a{0x1.01p0f, 0x1.03p0f}, b{0x1.018p0f, 1};
  const float bias = 0x1.0001p0f;
  GuardedBuffer<float> c(1);
  Matmul args;
  args.rounding.to = Precision::bf16;
  args.m = args.n = 1;
  args.k = 2;
  args.a = a.data();
  args.b = b.data();
  args.c = c.data();
  args.epilogue.bias = &bias;
  run_entry(reference::table(), args);
  EXPECT_EQ(c.values(), std::vector<float>{1.0f * 0x1.02p0f + 0x1.04p0f + bias}) << "ties go to even";
  args.type = DType::f64;
  EXPECT_EQ(reference::table().matmul.select(args), nullptr);
}

TEST(ReferenceMatmul, SumOfNoProductsIsTheEpilogueOfZero) {
  const std::vector<float> bias{3, -1};
  GuardedBuffer<float> c(2);
  Matmul args;
  args.m = 1;
  args.n = 2;
  args.c = c.data();
  args.epilogue = {bias.data(), nullptr, Activation::relu};
  run_entry(reference::table(), args);
  EXPECT_EQ(c.values(), (std::vector<float>{3, 0}));
  run_entry(reference::table(), Matmul{});
}

}  // namespace
}  // namespace pila::kernels::matmul_test
