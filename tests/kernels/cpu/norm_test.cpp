#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::test {
namespace {

using namespace kernels;

constexpr std::int64_t kChannels[] = {1, 3, 8, 15, 16, 17, 24, 32, 33, 96, 144, 960};
constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::relu6,
                                       Activation::silu, Activation::sigmoid};

// Moments of up to 512 rows in float32, then float64: a few units in the last place.
constexpr double kTolerance = 1e-6;

std::unique_ptr<Stream> stream_of(int threads) { return cpu::create_device_api()->create_stream(threads); }

struct Problem {
  std::int64_t rows, channels;
  Activation activation = Activation::none;
  std::vector<float> x, dy, gamma, beta, mean, variance;

  Problem(std::int64_t rows_, std::int64_t channels_, Activation activation_, double centre = 0.3)
      : rows(rows_), channels(channels_), activation(activation_) {
    const auto wide = static_cast<std::size_t>(channels), all = static_cast<std::size_t>(rows) * wide;
    x = uniform_data<float>(all, 1, centre - 2, centre + 2);
    dy = uniform_data<float>(all, 2);
    gamma = uniform_data<float>(wide, 3, 0.5, 3);
    beta = uniform_data<float>(wide, 4);
    mean = uniform_data<float>(wide, 5, centre - 1, centre + 1);
    variance = uniform_data<float>(wide, 6, 0.5, 2);
  }
};

struct Forward {
  std::vector<float> y, mean, variance;
};

Forward train(const KernelTable& table, const Problem& problem, int threads = 1) {
  const GuardedBuffer<float> x(problem.x), gamma(problem.gamma), beta(problem.beta);
  GuardedBuffer<float> y(x.size()), mean(gamma.size()), variance(gamma.size());
  BatchNormTraining args;
  args.rows = problem.rows;
  args.channels = problem.channels;
  args.activation = problem.activation;
  args.x = x.data();
  args.gamma = gamma.data();
  args.beta = beta.data();
  args.y = y.data();
  args.mean = mean.data();
  args.variance = variance.data();
  const auto stream = stream_of(threads);
  run_entry(table, args, *stream);
  EXPECT_TRUE(y.check() && mean.check() && variance.check());
  return {y.values(), mean.values(), variance.values()};
}

struct Measured {
  Forward forward;  // y: empty where it is not wanted
  std::vector<float> scaling;
};

Measured measure(const KernelTable& table, const Problem& problem, bool with_y) {
  const GuardedBuffer<float> x(problem.x), gamma(problem.gamma), beta(problem.beta);
  GuardedBuffer<float> y(with_y ? x.size() : 0), mean(gamma.size()), variance(gamma.size()),
      scaling(3 * gamma.size());
  BatchNormTraining args;
  args.rows = problem.rows;
  args.channels = problem.channels;
  args.activation = problem.activation;
  args.x = x.data();
  args.gamma = gamma.data();
  args.beta = beta.data();
  args.y = with_y ? y.data() : nullptr;
  args.mean = mean.data();
  args.variance = variance.data();
  args.scaling = scaling.data();
  const auto stream = stream_of(2);
  run_entry(table, args, *stream);
  EXPECT_TRUE(y.check(Written::all) && mean.check() && variance.check() && scaling.check(Written::all));
  return {{y.values(), mean.values(), variance.values()}, scaling.values()};
}

std::vector<float> infer(const KernelTable& table, const Problem& problem, int threads = 1,
                         double epsilon = 1e-3) {
  const GuardedBuffer<float> x(problem.x), gamma(problem.gamma), beta(problem.beta), mean(problem.mean),
      variance(problem.variance);
  GuardedBuffer<float> y(x.size());
  BatchNormInference args;
  args.rows = problem.rows;
  args.channels = problem.channels;
  args.epsilon = epsilon;
  args.activation = problem.activation;
  args.x = x.data();
  args.gamma = gamma.data();
  args.beta = beta.data();
  args.mean = mean.data();
  args.variance = variance.data();
  args.y = y.data();
  const auto stream = stream_of(threads);
  run_entry(table, args, *stream);
  EXPECT_TRUE(y.check(Written::all));
  return y.values();
}

struct Wanted {
  bool dx = true, dgamma = true, dbeta = true;
};

struct Gradients {
  std::vector<float> dx, dgamma, dbeta;
};

Gradients backward(const KernelTable& table, const Problem& problem, bool batch_statistics, int threads = 1,
                   Wanted wanted = {}) {
  const GuardedBuffer<float> x(problem.x), gamma(problem.gamma), beta(problem.beta), mean(problem.mean),
      variance(problem.variance), dy(problem.dy);
  GuardedBuffer<float> dx(wanted.dx ? x.size() : 0), dgamma(wanted.dgamma ? gamma.size() : 0),
      dbeta(wanted.dbeta ? gamma.size() : 0);
  BatchNormBackward args;
  args.rows = problem.rows;
  args.channels = problem.channels;
  args.activation = problem.activation;
  args.batch_statistics = batch_statistics;
  args.x = x.data();
  args.gamma = gamma.data();
  args.beta = beta.data();
  args.mean = mean.data();
  args.variance = variance.data();
  args.dy = dy.data();
  args.dx = wanted.dx ? dx.data() : nullptr;
  args.dgamma = wanted.dgamma ? dgamma.data() : nullptr;
  args.dbeta = wanted.dbeta ? dbeta.data() : nullptr;
  const auto stream = stream_of(threads);
  run_entry(table, args, *stream);
  EXPECT_TRUE(dx.check(Written::all) && dgamma.check(Written::all) && dbeta.check(Written::all));
  return {dx.values(), dgamma.values(), dbeta.values()};
}

void expect_close(const Forward& actual, const Forward& expected, double tolerance = kTolerance) {
  EXPECT_TRUE(close_by_norm(actual.mean, expected.mean, tolerance));
  EXPECT_TRUE(close_by_norm(actual.variance, expected.variance, tolerance));
  EXPECT_TRUE(close_by_norm(actual.y, expected.y, tolerance));
}

void expect_close(const Gradients& actual, const Gradients& expected, double tolerance = kTolerance) {
  EXPECT_TRUE(close_by_norm(actual.dx, expected.dx, tolerance));
  EXPECT_TRUE(close_by_norm(actual.dgamma, expected.dgamma, tolerance));
  EXPECT_TRUE(close_by_norm(actual.dbeta, expected.dbeta, tolerance));
}

class CpuNorm : public testing::TestWithParam<std::int64_t> {};

TEST_P(CpuNorm, TrainingIsTheReference) {
  for (const std::int64_t rows : {1, 2, 7, 8, 63, 64, 65, 129, 515, 1100}) {
    SCOPED_TRACE(rows);
    const Problem problem(rows, GetParam(), rows % 2 == 0 ? Activation::relu6 : Activation::none);
    expect_close(train(cpu::table(), problem), train(reference::table(), problem));
  }
}

TEST_P(CpuNorm, InferenceIsTheReference) {
  for (const std::int64_t rows : {1, 3, 4, 5, 65, 515}) {
    const Problem problem(rows, GetParam(), rows % 2 == 0 ? Activation::relu6 : Activation::none);
    EXPECT_TRUE(close_by_norm(infer(cpu::table(), problem), infer(reference::table(), problem), kTolerance));
  }
}

// The gradient sums g * (x - mean) partly cancel: hence more than kTolerance.
TEST_P(CpuNorm, BackwardIsTheReference) {
  for (const bool batch_statistics : {true, false}) {
    for (const std::int64_t rows : {1, 2, 7, 8, 9, 64, 65, 515}) {
      SCOPED_TRACE(rows);
      const Problem problem(rows, GetParam(), rows % 2 == 0 ? Activation::relu6 : Activation::none);
      expect_close(backward(cpu::table(), problem, batch_statistics),
                   backward(reference::table(), problem, batch_statistics), 3e-6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Channels, CpuNorm, testing::ValuesIn(kChannels));

TEST(CpuNormActivations, AllAreTheReference) {
  for (const auto activation : kActivations) {
    SCOPED_TRACE(static_cast<int>(activation));
    const Problem problem(333, 35, activation);
    expect_close(train(cpu::table(), problem), train(reference::table(), problem));
    EXPECT_TRUE(close_by_norm(infer(cpu::table(), problem), infer(reference::table(), problem), kTolerance));
    for (const bool batch_statistics : {true, false}) {
      expect_close(backward(cpu::table(), problem, batch_statistics),
                   backward(reference::table(), problem, batch_statistics), 3e-6);
    }
  }
}

// Outputs of 2^21 elements and more are written past the caches. No ReLU: among so many elements one lies so
// near its kink that float32 and float64 see it on different sides.
TEST(CpuNormBeyondCaches, IsTheReference) {
  const Problem problem((1 << 17) + 3, 16, Activation::none);
  expect_close(train(cpu::table(), problem), train(reference::table(), problem));
  for (const bool batch_statistics : {true, false}) {
    expect_close(backward(cpu::table(), problem, batch_statistics),
                 backward(reference::table(), problem, batch_statistics), 3e-6);
  }
}

TEST(CpuNormAccuracy, StatisticsKeepTheirDigitsFarFromZero) {
  for (const std::int64_t rows : {300, 5000}) {
    const Problem problem(rows, 20, Activation::none, 1000);
    expect_close(train(cpu::table(), problem), train(reference::table(), problem));
    for (const bool batch_statistics : {true, false}) {
      expect_close(backward(cpu::table(), problem, batch_statistics),
                   backward(reference::table(), problem, batch_statistics), 3e-6);
    }
  }
}

// The first row is what others are measured from. Sums of a hundred times the deviation cost the mean a few
// digits more, the variance none.
TEST(CpuNormAccuracy, AnOutlierInTheFirstRowDoesLittleHarm) {
  Problem problem(4000, 17, Activation::none);
  std::fill_n(problem.x.begin(), 17, 100.0f);
  const auto actual = train(cpu::table(), problem), expected = train(reference::table(), problem);
  EXPECT_TRUE(close_each(actual.mean, expected.mean, 1e-5));
  EXPECT_TRUE(close_by_norm(actual.variance, expected.variance, kTolerance));
  EXPECT_TRUE(close_by_norm(actual.y, expected.y, 1e-5));
}

TEST(CpuNormAccuracy, AConstantChannelHasNoVariance) {
  Problem problem(700, 16, Activation::none);
  std::fill(problem.x.begin(), problem.x.end(), 123.456f);
  const auto result = train(cpu::table(), problem);
  EXPECT_TRUE(same_bits(result.mean, std::vector<float>(16, 123.456f)));
  EXPECT_TRUE(same_bits(result.variance, std::vector<float>(16, 0.0f)));
  EXPECT_TRUE(same_bits(result.y, train(reference::table(), problem).y));
}

TEST(CpuNormAccuracy, NaNStaysInItsChannel) {
  Problem problem(700, 18, Activation::relu6);
  problem.x[18 * 300 + 5] = std::numeric_limits<float>::quiet_NaN();
  const auto result = train(cpu::table(), problem);
  for (std::size_t i = 0; i < result.y.size(); ++i) ASSERT_EQ(std::isnan(result.y[i]), i % 18 == 5) << i;
  for (std::size_t c = 0; c < 18; ++c) {
    EXPECT_EQ(std::isnan(result.mean[c]), c == 5);
    EXPECT_EQ(std::isnan(result.variance[c]), c == 5);
  }
}

// Means, scales and offsets, with y or without it.
TEST(CpuNormScaling, IsTheReferenceAndLeavesStatisticsAsTheyAre) {
  for (const std::int64_t channels : {1, 17, 96}) {
    for (const std::int64_t rows : {1, 65, 1100}) {
      const Problem problem(rows, channels, Activation::relu6, 20);
      const auto plain = train(cpu::table(), problem);
      const auto expected = measure(reference::table(), problem, true);
      for (const bool with_y : {true, false}) {
        SCOPED_TRACE(testing::Message() << rows << " x " << channels << (with_y ? " with y" : ""));
        const auto actual = measure(cpu::table(), problem, with_y);
        EXPECT_TRUE(same_bits(actual.forward.mean, plain.mean));
        EXPECT_TRUE(same_bits(actual.forward.variance, plain.variance));
        EXPECT_TRUE(same_bits(actual.forward.y, with_y ? plain.y : std::vector<float>()));
        EXPECT_TRUE(close_by_norm(actual.scaling, expected.scaling, kTolerance));
      }
    }
  }
}

// So whoever normalises by it gets the bits that training writes.
TEST(CpuNormScaling, IsWhatTrainingNormalisesBy) {
  for (const auto activation : kActivations) {
    Problem problem(333, 35, activation);
    const auto measured = measure(cpu::table(), problem, false);
    const auto* scaling = measured.scaling.data();
    problem.mean.assign(scaling, scaling + 35);
    problem.gamma.assign(scaling + 35, scaling + 70);
    problem.beta.assign(scaling + 70, scaling + 105);
    problem.variance.assign(35, 1.0f);
    const Problem original(333, 35, activation);
    EXPECT_TRUE(same_bits(infer(cpu::table(), problem, 1, 0), train(cpu::table(), original).y));
  }
}

TEST(CpuNormBackward, LeavesOutWhatIsNotWanted) {
  const Problem problem(130, 19, Activation::relu);
  for (const bool batch_statistics : {true, false}) {
    const auto all = backward(cpu::table(), problem, batch_statistics);
    EXPECT_TRUE(
        same_bits(backward(cpu::table(), problem, batch_statistics, 1, {true, false, false}).dx, all.dx));
    const auto parameters = backward(cpu::table(), problem, batch_statistics, 1, {false, true, true});
    EXPECT_TRUE(same_bits(parameters.dgamma, all.dgamma));
    EXPECT_TRUE(same_bits(parameters.dbeta, all.dbeta));
  }
}

TEST(CpuNormThreads, GiveTheSameBits) {
  const Problem problem(5000, 40, Activation::relu6);
  const auto forward = train(cpu::table(), problem);
  const auto inference = infer(cpu::table(), problem);
  for (const int threads : {2, 5}) {
    const auto again = train(cpu::table(), problem, threads);
    EXPECT_TRUE(same_bits(again.y, forward.y));
    EXPECT_TRUE(same_bits(again.mean, forward.mean));
    EXPECT_TRUE(same_bits(again.variance, forward.variance));
    EXPECT_TRUE(same_bits(infer(cpu::table(), problem, threads), inference));
    for (const bool batch_statistics : {true, false}) {
      const auto expected = backward(cpu::table(), problem, batch_statistics);
      const auto gradients = backward(cpu::table(), problem, batch_statistics, threads);
      EXPECT_TRUE(same_bits(gradients.dx, expected.dx));
      EXPECT_TRUE(same_bits(gradients.dgamma, expected.dgamma));
      EXPECT_TRUE(same_bits(gradients.dbeta, expected.dbeta));
    }
  }
}

TEST(CpuMovingAverage, IsTheReference) {
  for (const std::size_t count : {0, 1, 15, 16, 17, 960, 40000}) {
    const GuardedBuffer<float> value(uniform_data<float>(count, 1, -5, 5));
    GuardedBuffer<float> average(uniform_data<float>(count, 2, -5, 5)), expected(average.values());
    MovingAverage args;
    args.count = static_cast<std::int64_t>(count);
    args.momentum = 0.999;
    args.value = value.data();
    args.average = average.data();
    const auto stream = stream_of(2);
    run_entry(cpu::table(), args, *stream);
    args.average = expected.data();
    run_entry(reference::table(), args);
    EXPECT_TRUE(average.check());
    // Momentum and its rest are rounded to float32: one unit of the larger term.
    EXPECT_TRUE(close_each(average, expected, 1e-6));
  }
}

}  // namespace
}  // namespace pila::test
