#include "kernels/args/norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/finite_differences.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::norm_test {
namespace {

using test::close_by_norm;
using test::close_each;
using test::GuardedBuffer;
using test::inner_product;
using test::numerical_gradient;
using test::run_entry;
using test::uniform_data;
using test::Written;

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::relu6,
                                       Activation::silu, Activation::sigmoid};

// A batch normalisation with room for everything that its three kernels read and write.
template <class T>
struct Problem {
  std::size_t rows, channels;
  Activation activation = Activation::none;
  double epsilon = 1e-3;
  GuardedBuffer<T> x, gamma, beta, mean, variance, y, dy, dx, dgamma, dbeta;

  Problem(std::size_t rows_, std::size_t channels_)
      : rows(rows_),
        channels(channels_),
        x(uniform_data<T>(rows * channels, 1, -3, 5)),
        gamma(uniform_data<T>(channels, 2, 0.5, 4)),
        beta(uniform_data<T>(channels, 3, -1, 4)),
        mean(uniform_data<T>(channels, 4, -1, 2)),
        variance(uniform_data<T>(channels, 5, 0.5, 6)),
        y(rows * channels),
        dy(uniform_data<T>(rows * channels, 6)),
        dx(rows * channels),
        dgamma(channels),
        dbeta(channels) {}

  template <class Args>
  Args common() const {
    Args args;
    args.type = sizeof(T) == 8 ? DType::f64 : DType::f32;
    args.rows = static_cast<std::int64_t>(rows);
    args.channels = static_cast<std::int64_t>(channels);
    args.epsilon = epsilon;
    args.activation = activation;
    args.x = x.data();
    args.gamma = gamma.data();
    args.beta = beta.data();
    return args;
  }
  void train() {
    auto args = common<BatchNormTraining>();
    args.y = y.data();
    args.mean = mean.data();
    args.variance = variance.data();
    run_entry(reference::table(), args);
  }
  void infer() {
    auto args = common<BatchNormInference>();
    args.mean = mean.data();
    args.variance = variance.data();
    args.y = y.data();
    run_entry(reference::table(), args);
  }
  BatchNormBackward backward_args(bool batch_statistics) {
    auto args = common<BatchNormBackward>();
    args.batch_statistics = batch_statistics;
    args.mean = mean.data();
    args.variance = variance.data();
    args.dy = dy.data();
    args.dx = dx.data();
    args.dgamma = dgamma.data();
    args.dbeta = dbeta.data();
    return args;
  }
  void check_written() const {
    for (const auto* buffer : {&x, &gamma, &beta, &dy}) EXPECT_TRUE(buffer->check());
    for (const auto* buffer : {&mean, &variance, &y}) EXPECT_TRUE(buffer->check(Written::all));
  }
};

double activated(Activation kind, double x) {
  switch (kind) {
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::relu6:
      return std::min(std::max(x, 0.0), 6.0);
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::sigmoid:
      return 0.5 + 0.5 * std::tanh(x / 2);
    default:
      return x;
  }
}

template <class T>
void check_forward(std::size_t rows, std::size_t channels, Activation activation) {
  SCOPED_TRACE(testing::Message() << rows << "x" << channels << ", activation "
                                  << static_cast<int>(activation));
  Problem<T> problem(rows, channels);
  problem.activation = activation;
  for (const bool batch_statistics : {true, false}) {
    // By definition: the variance as mean of squares less squared mean, which float64 bears for data near
    // zero.
    std::vector<double> means(problem.mean.begin(), problem.mean.end());
    std::vector<double> variances(problem.variance.begin(), problem.variance.end());
    std::vector<double> expected(rows * channels);
    for (std::size_t c = 0; c < channels; ++c) {
      if (batch_statistics) {
        double sum = 0, squares = 0;
        for (std::size_t r = 0; r < rows; ++r) {
          const double value = problem.x[r * channels + c];
          sum += value;
          squares += value * value;
        }
        means[c] = sum / static_cast<double>(rows);
        variances[c] = squares / static_cast<double>(rows) - means[c] * means[c];
      }
      for (std::size_t r = 0; r < rows; ++r) {
        const double centred = problem.x[r * channels + c] - means[c];
        expected[r * channels + c] =
            activated(activation, problem.gamma[c] * centred / std::sqrt(variances[c] + problem.epsilon) +
                                      problem.beta[c]);
      }
    }
    batch_statistics ? problem.train() : problem.infer();
    problem.check_written();
    // float64: cancellation in the variance above costs two digits where a channel has few rows.
    const double tolerance = sizeof(T) == 8 ? 1e-13 : 6e-8;
    EXPECT_TRUE(close_by_norm(problem.y, expected, tolerance));
    EXPECT_TRUE(close_by_norm(problem.mean, means, tolerance));
    EXPECT_TRUE(close_by_norm(problem.variance, variances, tolerance));
    problem = Problem<T>(rows, channels);
    problem.activation = activation;
  }
}

TEST(ReferenceBatchNorm, ForwardFollowsTheDefinition) {
  for (const auto activation : kActivations) {
    for (const auto& [rows, channels] : {std::pair<std::size_t, std::size_t>{10, 3}, {3, 65}, {49, 130}}) {
      check_forward<double>(rows, channels, activation);
      check_forward<float>(rows, channels, activation);
    }
  }
}

TEST(ReferenceBatchNorm, BackwardIsTheDerivative) {
  for (const auto activation : kActivations) {
    for (const bool batch_statistics : {true, false}) {
      SCOPED_TRACE(testing::Message() << "activation " << static_cast<int>(activation)
                                      << (batch_statistics ? ", batch statistics" : ", given statistics"));
      Problem<double> problem(7, 66);
      problem.activation = activation;
      const auto loss = [&] {
        batch_statistics ? problem.train() : problem.infer();
        return inner_product(problem.y, problem.dy);
      };
      loss();
      run_entry(reference::table(), problem.backward_args(batch_statistics));
      for (const auto* buffer : {&problem.dx, &problem.dgamma, &problem.dbeta}) {
        EXPECT_TRUE(buffer->check(Written::all));
      }
      // Central differences of a sum of some hundred terms keep about seven digits.
      EXPECT_TRUE(close_by_norm(problem.dx, numerical_gradient(problem.x, loss), 1e-7));
      EXPECT_TRUE(close_by_norm(problem.dgamma, numerical_gradient(problem.gamma, loss), 1e-7));
      EXPECT_TRUE(close_by_norm(problem.dbeta, numerical_gradient(problem.beta, loss), 1e-7));
    }
  }
}

TEST(ReferenceBatchNorm, Float32BackwardIsFloat64sRounded) {
  for (const bool batch_statistics : {true, false}) {
    Problem<float> narrow(20, 70);
    Problem<double> wide(20, 70);
    for (std::size_t i = 0; i < narrow.x.size(); ++i) {
      wide.x[i] = narrow.x[i];
      wide.dy[i] = narrow.dy[i];
    }
    for (std::size_t c = 0; c < narrow.channels; ++c) {
      wide.gamma[c] = narrow.gamma[c];
      wide.beta[c] = narrow.beta[c];
      wide.mean[c] = narrow.mean[c];
      wide.variance[c] = narrow.variance[c];
    }
    narrow.activation = wide.activation = Activation::silu;
    run_entry(reference::table(), narrow.backward_args(batch_statistics));
    run_entry(reference::table(), wide.backward_args(batch_statistics));
    EXPECT_TRUE(close_by_norm(narrow.dx, wide.dx, 6e-8));  // one rounding
    EXPECT_TRUE(close_by_norm(narrow.dgamma, wide.dgamma, 6e-8));
    EXPECT_TRUE(close_by_norm(narrow.dbeta, wide.dbeta, 6e-8));
  }
}

TEST(ReferenceBatchNorm, GradientsThatNobodyWantsAreLeftOut) {
  Problem<double> all(5, 4), some(5, 4);
  run_entry(reference::table(), all.backward_args(true));
  auto args = some.backward_args(true);
  args.dgamma = args.dbeta = nullptr;
  run_entry(reference::table(), args);
  EXPECT_TRUE(test::same_bits(some.dx, all.dx));
  args = some.backward_args(true);
  args.dx = nullptr;
  run_entry(reference::table(), args);
  EXPECT_TRUE(test::same_bits(some.dgamma, all.dgamma));
  EXPECT_TRUE(test::same_bits(some.dbeta, all.dbeta));
}

TEST(ReferenceBatchNorm, VarianceOfDataFarFromZeroKeepsItsDigits) {
  Problem<float> problem(4, 1);
  for (std::size_t i = 0; i < 4; ++i) problem.x[i] = 4194304.0f + static_cast<float>(i);
  problem.train();
  EXPECT_EQ(problem.mean[0], 4194305.5f);
  EXPECT_EQ(problem.variance[0], 1.25f);
}

TEST(ReferenceBatchNorm, MeasuresWithoutNormalising) {
  const std::vector<double> x{1, 10, 5, 10, 3, 40}, gamma{3, 8}, beta{7, -1};
  std::vector<double> mean(2), variance(2);
  GuardedBuffer<double> scaling(6);
  BatchNormTraining args;
  args.type = DType::f64;
  args.rows = 3;
  args.channels = 2;
  args.epsilon = 25.0 / 3;
  args.x = x.data();
  args.gamma = gamma.data();
  args.beta = beta.data();
  args.mean = mean.data();
  args.variance = variance.data();
  args.scaling = scaling.data();
  run_entry(reference::table(), args);
  EXPECT_TRUE(close_each(mean, std::vector<double>{3, 20}, 1e-14));
  EXPECT_TRUE(close_each(variance, std::vector<double>{8.0 / 3, 200}, 1e-12));
  const double scale = 8 / std::sqrt(625.0 / 3);
  EXPECT_TRUE(close_each(scaling, std::vector<double>{3, 20, 3 / std::sqrt(11), scale, 7, -1}, 1e-14));
}

// x less the mean as float32 holds it is off by an eighth, which the offset makes up for.
TEST(ReferenceBatchNorm, ScalingsOffsetTakesWhatTheMeanLosesToRounding) {
  const std::vector<float> x{4194304, 4194304, 4194304, 4194304.5f}, one{1}, beta{2};
  std::vector<float> mean(1), variance(1), scaling(3);
  BatchNormTraining args;
  args.rows = 4;
  args.channels = 1;
  args.epsilon = 1 - 3.0 / 64;
  args.x = x.data();
  args.gamma = one.data();
  args.beta = beta.data();
  args.mean = mean.data();
  args.variance = variance.data();
  args.scaling = scaling.data();
  run_entry(reference::table(), args);
  EXPECT_EQ(scaling, (std::vector<float>{4194304, 1, 1.875f}));
}

TEST(ReferenceBatchNorm, ConstantAndSingleRowsHaveNoVariance) {
  Problem<double> problem(1, 3);
  problem.train();
  EXPECT_TRUE(close_each(problem.mean, problem.x, 0));
  EXPECT_TRUE(close_each(problem.variance, std::vector<double>(3, 0.0), 0));
  EXPECT_TRUE(close_each(problem.y, problem.beta, 0));
}

TEST(ReferenceBatchNorm, OfNothingHasZeroStatisticsAndGradients) {
  Problem<float> problem(0, 3);
  problem.train();
  problem.infer();
  run_entry(reference::table(), problem.backward_args(true));
  for (const auto* buffer : {&problem.mean, &problem.variance, &problem.dgamma, &problem.dbeta}) {
    EXPECT_EQ(buffer->values(), std::vector<float>(3, 0.0f));
  }
}

TEST(ReferenceMovingAverage, MovesTowardsTheValue) {
  const std::vector<float> value{1, 2, 3};
  std::vector<float> average{10, 2, -4};
  MovingAverage args;
  args.count = 3;
  args.momentum = 0.75;
  args.value = value.data();
  args.average = average.data();
  run_entry(reference::table(), args);
  EXPECT_EQ(average, (std::vector<float>{7.75f, 2, -2.25f}));
  run_entry(reference::table(), MovingAverage{});
}

}  // namespace
}  // namespace pila::kernels::norm_test
