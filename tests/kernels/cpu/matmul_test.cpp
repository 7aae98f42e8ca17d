#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/needs_bfloat16.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::cpu {
namespace {

using test::GuardedBuffer;

// A float32 sum of k products of random signs is off by about sqrt(k) roundings of its own size; the rest is
// room for a result of few numbers whose products happen to cancel.
double tolerance(std::int64_t k) { return 4e-7 * (2 + std::sqrt(static_cast<double>(k))); }

struct Case {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  bool bias = false, residual = false;
  Activation activation = Activation::none;
  Precision precision = Precision::f32;

  std::string name() const {
    return std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k) +
           (transpose_a ? " at" : "") + (transpose_b ? " bt" : "") + (bias ? " bias" : "") +
           (residual ? " residual" : "") + " activation " + std::to_string(static_cast<int>(activation));
  }
};

// The operands of one product, in memory that notices strangers.
class Product {
 public:
  explicit Product(const Case& which)
      : a_(test::uniform_data<float>(size(which.m, which.k), 1)),
        b_(test::uniform_data<float>(size(which.k, which.n), 2)),
        bias_(test::uniform_data<float>(size(1, which.n), 3)),
        residual_(test::uniform_data<float>(which.residual ? size(which.m, which.n) : 0, 4)),
        count_(size(which.m, which.n)) {
    args_.rounding = {which.precision, {1.0f / 127, 127}};
    args_.m = which.m;
    args_.n = which.n;
    args_.k = which.k;
    args_.transpose_a = which.transpose_a;
    args_.transpose_b = which.transpose_b;
    args_.a = a_.data();
    args_.b = b_.data();
    if (which.bias) args_.epilogue.bias = bias_.data();
    if (which.residual) args_.epilogue.residual = residual_.data();
    args_.epilogue.activation = which.activation;
  }

  std::vector<float> fast(int threads, bool prepared = false) {
    CpuStream stream(threads);
    GuardedBuffer<float> c(count_);
    args_.c = c.data();
    const auto* kernel = table().matmul.select(args_);
    EXPECT_STREQ(kernel->name, args_.rounding.to == Precision::bf16 ? "matmul_bf16"
                               : args_.rounding.to == Precision::i8 ? "matmul_i8"
                                                                    : "matmul_f32_tiles");
    prepared ? test::run_prepared(*kernel, args_, stream) : test::run_kernel(*kernel, args_, stream);
    EXPECT_TRUE(c.check(test::Written::all));
    return c.values();
  }

  std::vector<float> expected() {
    std::vector<float> c(count_);
    args_.c = c.data();
    test::run_entry(reference::table(), args_);
    return c;
  }

 private:
  static std::size_t size(std::int64_t rows, std::int64_t columns) {
    return static_cast<std::size_t>(rows * columns);
  }

  GuardedBuffer<float> a_, b_, bias_, residual_;
  std::size_t count_;
  Matmul args_;
};

void expect_agreement(const Case& which) {
  SCOPED_TRACE(which.name());
  Product product(which);
  const auto c = product.fast(1);
  EXPECT_TRUE(test::close_by_norm(c, product.expected(), tolerance(which.k)));
  EXPECT_TRUE(test::same_bits(product.fast(1, true), c)) << "with prepared weights";
}

constexpr bool kBoth[] = {false, true};

TEST(FastMatmul, AgreesWithTheReferenceAroundTheTiles) {
  for (const std::int64_t m : {1, 2, 3, 5, 6, 7, 13, 14, 15, 28, 29, 33}) {
    for (const std::int64_t n : {1, 4, 8, 15, 16, 17, 24, 31, 32, 33, 48, 64, 65}) {
      for (const std::int64_t k : {1, 3, 4, 5, 16, 27}) {
        for (const bool transpose_a : kBoth) {
          for (const bool transpose_b : kBoth) expect_agreement({m, n, k, transpose_a, transpose_b});
        }
      }
    }
  }
}

TEST(FastMatmul, AgreesOnWideAndNarrowShapes) {
  const Case shapes[] = {{1, 1000, 320}, {100, 129, 64}, {57, 200, 20},   {300, 10, 40},
                         {41, 144, 128}, {500, 24, 144}, {130, 300, 257}, {10, 70, 600},
                         {2, 2, 3000},   {113, 257, 70}, {7, 516, 2100}};
  for (Case shape : shapes) {
    for (shape.transpose_a = false;; shape.transpose_a = true) {
      for (shape.transpose_b = false;; shape.transpose_b = true) {
        expect_agreement(shape);
        if (shape.transpose_b) break;
      }
      if (shape.transpose_a) break;
    }
  }
}

// Both round the same numbers, and products of rounded factors are exact: sums differ as float32's do.
void expect_rounded_agreement(Precision precision) {
  for (const std::int64_t m : {0, 1, 2, 13, 57, 130}) {
    for (const std::int64_t n : {0, 1, 15, 17, 32, 33, 100}) {
      for (const std::int64_t k : {0, 1, 3, 4, 33, 320}) {
        const bool odd = k % 2 != 0;
        const auto activation = odd ? Activation::relu6 : Activation::silu;
        const Case which{m, n, k, false, false, odd, n > 16, activation, precision};
        expect_agreement(which);
        Product product(which);
        EXPECT_TRUE(test::same_bits(product.fast(3, true), product.fast(1))) << which.name();
      }
    }
  }
}

TEST(FastMatmul, AgreesInBFloat16) {
  PILA_NEEDS_BFLOAT16();
  expect_rounded_agreement(Precision::bf16);
}

TEST(FastMatmul, AgreesInInt8) {
  expect_rounded_agreement(Precision::i8);
  expect_agreement({9, 70, 2100, false, false, true, true, Activation::none, Precision::i8});
}

TEST(FastMatmul, LeavesRoundedProductsThatAreTransposedOrLongToTheReference) {
  Matmul args;
  args.rounding.to = Precision::bf16;
  args.transpose_b = true;
  EXPECT_STREQ(table().matmul.select(args)->name, "reference");
  args.rounding.to = Precision::i8;
  args.transpose_b = false;
  args.k = kMostInt8Depth + 1;
  EXPECT_STREQ(table().matmul.select(args)->name, "reference");
}

// A weight gradient: k is cut into chunks here, whose last is short.
TEST(FastMatmul, AgreesOnLongSums) {
  for (const std::int64_t k : {511, 512, 513, 1025, 5003, 20000}) {
    for (const std::int64_t m : {3, 16, 27}) {
      for (const std::int64_t n : {10, 24, 32}) {
        expect_agreement({m, n, k, true, false});
        expect_agreement({m, n, k, false, false});
      }
    }
  }
}

// Larger than any cache: such results are written past them.
TEST(FastMatmul, AgreesOnHugeResults) {
  expect_agreement({530000, 16, 2, false, false, true, false, Activation::relu6});
}

TEST(FastMatmul, AppliesEveryEpilogue) {
  for (const auto activation :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    for (const bool bias : kBoth) {
      for (const bool residual : kBoth) {
        for (const bool transpose_a : kBoth) {
          for (const std::int64_t n : {8, 33, 64, 140}) {
            expect_agreement({31, n, 40, transpose_a, false, bias, residual, activation});
          }
          expect_agreement({9, 20, 5000, transpose_a, false, bias, residual, activation});
        }
      }
    }
  }
}

TEST(FastMatmul, TakesEmptyOperands) {
  for (const bool transpose_a : kBoth) {
    expect_agreement({0, 5, 3, transpose_a});
    expect_agreement({5, 0, 3, transpose_a});
    expect_agreement({5, 40, 0, transpose_a, false, true, false, Activation::relu6});
  }
}

TEST(FastMatmul, PassesOnNaN) {
  for (const auto activation : {Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    const float nan = std::nanf("");
    const std::vector<float> a = {1, nan, 3, 4}, b = {1, 2, 3, 4};
    std::vector<float> c(4);
    Matmul args;
    args.m = args.n = args.k = 2;
    args.a = a.data();
    args.b = b.data();
    args.c = c.data();
    args.epilogue.activation = activation;
    CpuStream stream(1);
    test::run_entry(table(), args, stream);
    EXPECT_TRUE(std::isnan(c[0]) && std::isnan(c[1]));
    EXPECT_TRUE(std::isfinite(c[2]) && std::isfinite(c[3]));
  }
}

TEST(FastMatmul, GivesTheSameBitsAtAnyNumberOfThreads) {
  const Case shapes[] = {{400, 24, 96},
                         {49, 320, 500},
                         {1, 1000, 1280},
                         {3000, 200, 32},
                         {24, 96, 7000, true},
                         {300, 200, 1500, true},
                         {64, 10, 2500, false, true},
                         {9, 9, 9, true, true}};
  for (const Case& shape : shapes) {
    SCOPED_TRACE(shape.name());
    Product product(shape);
    const auto once = product.fast(1);
    EXPECT_TRUE(test::same_bits(product.fast(2), once));
    EXPECT_TRUE(test::same_bits(product.fast(5), once));
  }
}

}  // namespace
}  // namespace pila::kernels::cpu
