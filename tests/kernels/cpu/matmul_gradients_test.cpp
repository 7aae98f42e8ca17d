// All gradients of a product at once, against the reference and bit for bit at any number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/kernels/cpu/against_reference.h"

namespace pila::test {
namespace {

using namespace kernels;

struct Shape {
  std::int64_t m, k, n;
  Activation activation = Activation::relu6;
  bool prologue = false;
  bool da = true, db = true, dbias = true;
};

struct Results {
  std::vector<float> da, db, dbias;
};

std::size_t count_of(std::int64_t rows, std::int64_t columns) {
  return static_cast<std::size_t>(rows * columns);
}

// Operands that notice strangers. c has values on both sides of every activation's bounds, and on them.
class Gradients {
 public:
  explicit Gradients(const Shape& shape)
      : shape_(shape),
        a_(uniform_data<float>(count_of(shape.m, shape.k), 1)),
        b_(uniform_data<float>(count_of(shape.k, shape.n), 2)),
        c_(uniform_data<float>(count_of(shape.m, shape.n), 3, -2, 8)),
        dc_(uniform_data<float>(count_of(shape.m, shape.n), 4)),
        scaling_(uniform_data<float>(count_of(3, shape.k), 5, 0.5, 1.5)) {
    for (std::size_t i = 0; i < c_.size(); ++i) {
      if (i % 7 == 3) c_[i] = i % 2 == 0 ? 0.0f : 6.0f;
    }
  }

  float& c(std::size_t i) { return c_[i]; }
  float& dc(std::size_t i) { return dc_[i]; }

  Results fast(Stream& stream) const {
    GuardedBuffer<float> da(count_of(shape_.m, shape_.k)), db(count_of(shape_.k, shape_.n)),
        dbias(count_of(1, shape_.n));
    const MatmulGradients args = args_for(da.data(), db.data(), dbias.data());
    run_entry(cpu::table(), args, stream, "matmul_gradients_f32");
    EXPECT_TRUE(da.check(shape_.da ? Written::all : Written::any));
    EXPECT_TRUE(db.check(shape_.db ? Written::all : Written::any));
    EXPECT_TRUE(dbias.check(shape_.dbias ? Written::all : Written::any));
    return wanted(da.values(), db.values(), dbias.values());
  }

  Results expected() const {
    std::vector<float> da(count_of(shape_.m, shape_.k)), db(count_of(shape_.k, shape_.n)),
        dbias(count_of(1, shape_.n));
    run_entry(reference::table(), args_for(da.data(), db.data(), dbias.data()));
    return wanted(da, db, dbias);
  }

 private:
  MatmulGradients args_for(float* da, float* db, float* dbias) const {
    MatmulGradients args;
    args.m = shape_.m;
    args.n = shape_.n;
    args.k = shape_.k;
    args.a = a_.data();
    args.b = b_.data();
    args.c = shape_.activation == Activation::none ? nullptr : c_.data();
    args.dc = dc_.data();
    if (shape_.prologue) args.prologue = {scaling_.data(), Activation::relu6};
    args.activation = shape_.activation;
    if (shape_.da) args.da = da;
    if (shape_.db) args.db = db;
    if (shape_.dbias) args.dbias = dbias;
    return args;
  }

  Results wanted(const std::vector<float>& da, const std::vector<float>& db,
                 const std::vector<float>& dbias) const {
    Results results;
    if (shape_.da) results.da = da;
    if (shape_.db) results.db = db;
    if (shape_.dbias) results.dbias = dbias;
    return results;
  }

  Shape shape_;
  GuardedBuffer<float> a_, b_, c_, dc_, scaling_;
};

// A float32 sum of so many products of random signs is off by about as many roundings' root of its own size;
// the rest is room for g's and a prologue's roundings, and for results of few numbers that happen to cancel.
double tolerance(std::int64_t terms) { return 4e-7 * (3 + std::sqrt(static_cast<double>(terms))); }

void expect_agreement(const Shape& shape) {
  SCOPED_TRACE(testing::Message() << shape.m << " x " << shape.k << " x " << shape.n << " activation "
                                  << static_cast<int>(shape.activation) << (shape.prologue ? " prologue" : "")
                                  << (shape.da ? " da" : "") << (shape.db ? " db" : "")
                                  << (shape.dbias ? " dbias" : ""));
  const Gradients gradients(shape);
  const Results expected = gradients.expected(), actual = gradients.fast(streams()[0]);
  EXPECT_TRUE(close_by_norm(actual.da, expected.da, tolerance(shape.n)));
  EXPECT_TRUE(close_by_norm(actual.db, expected.db, tolerance(shape.m)));
  EXPECT_TRUE(close_by_norm(actual.dbias, expected.dbias, tolerance(shape.m)));
  for (auto& stream : streams()) {
    SCOPED_TRACE(testing::Message() << stream.pool.threads() << " threads");
    const Results again = gradients.fast(stream);
    EXPECT_TRUE(same_bits(again.da, actual.da));
    EXPECT_TRUE(same_bits(again.db, actual.db));
    EXPECT_TRUE(same_bits(again.dbias, actual.dbias));
  }
}

constexpr bool kBoth[] = {false, true};
constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::relu6,
                                       Activation::sigmoid};
constexpr std::int64_t kLong = 8 * 504;  // rows from which on one pass is taken

TEST(CpuMatmulGradients, AgreeAroundTheTiles) {
  for (const std::int64_t m : {std::int64_t{1}, std::int64_t{2}, std::int64_t{127}, kLong + 1}) {
    for (const std::int64_t k : {1, 8, 13, 14, 17, 29}) {
      for (const std::int64_t n : {1, 7, 16, 31, 33, 65}) expect_agreement({m, k, n});
    }
  }
}

// With fewer pixels.
TEST(CpuMatmulGradients, AgreeOnPointwiseConvolutions) {
  const std::int64_t layers[][2] = {{32, 16},  {16, 96},  {96, 24},   {24, 144},  {144, 32},
                                    {64, 384}, {576, 96}, {160, 960}, {960, 160}, {320, 1280}};
  for (const auto& [k, n] : layers) {
    for (const bool prologue : kBoth) {
      expect_agreement({98, k, n, Activation::relu6, prologue});
      expect_agreement({98, k, n, Activation::none, prologue, true, true, false});
    }
  }
}

TEST(CpuMatmulGradients, AgreeOnPointwiseConvolutionsInOnePass) {
  const std::int64_t layers[][2] = {{32, 16}, {16, 96}, {96, 24}, {24, 144}, {144, 24}, {32, 192}, {64, 384}};
  for (const auto& [k, n] : layers) {
    expect_agreement({kLong + 500, k, n, Activation::relu6, k < n});
    expect_agreement({kLong + 500, k, n, Activation::none, k > n, true, true, false});
  }
}

TEST(CpuMatmulGradients, AgreeWithEveryActivationAndAnyResult) {
  for (const std::int64_t m : {std::int64_t{50}, kLong}) {
    for (const auto activation : kActivations) {
      for (int wanted = 1; wanted < 8; ++wanted) {
        for (const bool prologue : kBoth) {
          expect_agreement(
              {m, 20, 26, activation, prologue, (wanted & 1) != 0, (wanted & 2) != 0, (wanted & 4) != 0});
        }
      }
    }
  }
}

// da is larger than any cache, and written past them.
TEST(CpuMatmulGradients, AgreeOnHugeResults) { expect_agreement({530000, 16, 3}); }

TEST(CpuMatmulGradients, TakeEmptyOperands) {
  expect_agreement({0, 5, 3});
  expect_agreement({5, 0, 3});
  expect_agreement({kLong, 0, 3});
}

// A slope of 0 stops everything; what passes it goes where it must and nowhere else.
TEST(CpuMatmulGradients, StopNaNWhereTheSlopeIsZero) {
  const std::int64_t k = 20, n = 18;
  for (const std::int64_t m : {std::int64_t{50}, kLong}) {
    for (const auto activation : {Activation::relu, Activation::relu6, Activation::sigmoid}) {
      Gradients gradients({m, k, n, activation});
      const std::size_t stopped = 5 * 18 + 4, passed = 7 * 18 + 9;
      gradients.c(stopped) = 0;
      gradients.dc(stopped) = std::numeric_limits<float>::quiet_NaN();
      gradients.c(passed) = 0.5f;
      gradients.dc(passed) = std::numeric_limits<float>::quiet_NaN();
      const Results actual = gradients.fast(streams()[0]), expected = gradients.expected();
      EXPECT_TRUE(same_specials(actual.da, expected.da));
      EXPECT_TRUE(same_specials(actual.db, expected.db));
      EXPECT_TRUE(same_specials(actual.dbias, expected.dbias));
      EXPECT_TRUE(std::isfinite(actual.dbias[4]));
      EXPECT_TRUE(std::isnan(actual.dbias[9]));
    }
  }
}

TEST(CpuMatmulGradients, LeaveTheRestToTheReference) {
  MatmulGradients args;
  args.rounding = Precision::tf32;
  EXPECT_STREQ(cpu::table().matmul_gradients.select(args)->name, "reference");
  args.rounding = Precision::f32;
  args.type = DType::f64;
  EXPECT_STREQ(cpu::table().matmul_gradients.select(args)->name, "reference");
}

}  // namespace
}  // namespace pila::test
