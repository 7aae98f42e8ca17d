#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/args/matmul.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/needs_bfloat16.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::cpu::pooled_matmul_test {
namespace {

using test::GuardedBuffer;
using test::uniform_data;

struct Case {
  std::int64_t batch, rows, n, k;
  Activation activation = Activation::relu6;
  bool bias = true;
  Precision precision = Precision::f32;
};

void expect_agreement(const Case& which) {
  SCOPED_TRACE(testing::Message() << which.batch << " x " << which.rows << " x " << which.n << " x "
                                  << which.k << " activation " << static_cast<int>(which.activation));
  const auto size = [](std::int64_t count) { return static_cast<std::size_t>(count); };
  const GuardedBuffer<float> a(uniform_data<float>(size(which.batch * which.rows * which.k), 1)),
      b(uniform_data<float>(size(which.k * which.n), 2)), bias(uniform_data<float>(size(which.n), 3));
  PooledMatmul args;
  args.rounding = {which.precision, {1.0f / 127, 127}};
  args.batch = which.batch;
  args.rows = which.rows;
  args.n = which.n;
  args.k = which.k;
  args.a = a.data();
  args.b = b.data();
  if (which.bias) args.bias = bias.data();
  args.activation = which.activation;
  const std::size_t count = size(which.batch * which.n);
  const auto fast = [&](int threads, bool prepared) {
    CpuStream stream(threads);
    GuardedBuffer<float> c(count);
    args.c = c.data();
    const auto* kernel = table().pooled_matmul.select(args);
    EXPECT_STREQ(kernel->name, which.precision == Precision::bf16 ? "pooled_matmul_bf16"
                               : which.precision == Precision::i8 ? "pooled_matmul_i8"
                                                                  : "pooled_matmul_f32");
    prepared ? test::run_prepared(*kernel, args, stream) : test::run_kernel(*kernel, args, stream);
    EXPECT_TRUE(c.check(test::Written::all));
    return c.values();
  };
  const auto c = fast(1, true);
  std::vector<float> expected(count);
  args.c = expected.data();
  test::run_entry(reference::table(), args);
  // About sqrt(k) roundings of each product's own size, and `rows` of the mean; without a bound to clamp to,
  // the mean of random signs is smaller than its terms by sqrt(rows).
  const auto terms = static_cast<double>(which.k + which.rows);
  EXPECT_TRUE(test::close_by_norm(c, expected, 6e-7 * (2 + std::sqrt(terms))));
  EXPECT_TRUE(test::same_bits(fast(1, false), c)) << "without prepared weights";
  EXPECT_TRUE(test::same_bits(fast(2, true), c)) << "with two threads";
  EXPECT_TRUE(test::same_bits(fast(3, false), c)) << "with three threads";
}

TEST(FastPooledMatmul, AgreesWithTheReferenceAroundTiles) {
  for (const std::int64_t rows : {1, 2, 7, 8, 9, 13, 49}) {
    for (const std::int64_t n : {1, 15, 16, 17, 31, 48, 49, 65, 100}) {
      for (const std::int64_t k : {1, 2, 3, 16, 33}) expect_agreement({1, rows, n, k});
    }
  }
  expect_agreement({1, 49, 1280, 320});
}

TEST(FastPooledMatmul, AgreesForSeveralImages) {
  for (const std::int64_t n : {40, 160}) expect_agreement({3, 25, n, 20});
}

TEST(FastPooledMatmul, AppliesEveryActivation) {
  for (const auto activation :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    for (const bool bias : {false, true}) expect_agreement({2, 10, 50, 24, activation, bias});
  }
}

// Both round the same numbers, and products of rounded factors are exact: sums differ as float32's do.
void expect_rounded_agreement(Precision precision) {
  for (const std::int64_t rows : {1, 7, 13, 49}) {
    for (const std::int64_t n : {1, 16, 17, 49, 100}) {
      for (const std::int64_t k : {0, 1, 2, 16, 33}) {
        expect_agreement({2, rows, n, k, Activation::relu6, k % 2 == 0, precision});
      }
    }
  }
  expect_agreement({1, 49, 1280, 320, Activation::silu, true, precision});
}

TEST(FastPooledMatmul, AgreesInBFloat16) {
  PILA_NEEDS_BFLOAT16();
  expect_rounded_agreement(Precision::bf16);
}

TEST(FastPooledMatmul, AgreesInInt8) { expect_rounded_agreement(Precision::i8); }

TEST(FastPooledMatmul, TakesEmptyOperands) {
  expect_agreement({0, 4, 5, 3});
  expect_agreement({2, 4, 0, 3});
  expect_agreement({2, 4, 20, 0});
}

}  // namespace
}  // namespace pila::kernels::cpu::pooled_matmul_test
