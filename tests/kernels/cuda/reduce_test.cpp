#include "kernels/args/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::reduce_test {
namespace {

using namespace kernels;

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

std::vector<float> random_numbers(std::int64_t count, std::uint64_t seed, double low = -1, double high = 1) {
  return uniform_data<float>(static_cast<std::size_t>(count), seed, low, high);
}

// Axes around a block's columns (up to 32) and rows (from 8 to 256).
TEST(CudaReduce, AddsUpAnyAxis) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const std::int64_t inner : {1, 2, 31, 32, 33, 100}) {
      for (const std::int64_t reduced : {0, 1, 7, 8, 9, 255, 257, 1000}) {
        for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean}) {
          if (reduced == 0 && kind == ReduceKind::mean) continue;  // NaN
          SCOPED_TRACE(std::to_string(reduced) + " rows of " + std::to_string(inner));
          constexpr std::int64_t kOuter = 3;
          const TypedInput x(type, random_numbers(kOuter * reduced * inner, 1, 0, 1));
          const auto count = static_cast<std::size_t>(kOuter * inner);
          Reduce args{DType::f32, kind, kOuter, reduced, inner, x.host.data(), nullptr};
          const auto expected = run_reference<float>(args, &Reduce::y, count);
          args.type = type;
          args.x = x.device.data();
          // Positive numbers: of a thousand additions by eight threads, each is off by half a unit at most.
          EXPECT_TRUE(close_by_norm(run_typed(args, "reduce", &Reduce::y, count), expected,
                                    5e-6 + (type == DType::f32 ? 0 : half_unit(type))));
        }
      }
    }
  }
}

// The first two rows are large, and half of their numbers take each other away, so that the order of
// additions and their precision show.
TEST(CudaReduce, AddsAFewRowsInOrder) {
  PILA_NEEDS_DEVICE();
  for (const std::int64_t inner : {1, 33, 1000}) {
    for (const std::int64_t reduced : {0, 1, 2, 3, 8, 256}) {
      SCOPED_TRACE(std::to_string(reduced) + " rows of " + std::to_string(inner));
      std::vector<float> numbers = random_numbers(reduced * inner, 1);
      for (std::size_t column = 0; reduced > 1 && column < static_cast<std::size_t>(inner); ++column) {
        float &first = numbers[column], &second = numbers[static_cast<std::size_t>(inner) + column];
        first *= 1e12f;
        second = column % 2 == 0 ? -first : second * 1e12f;
      }
      const TypedInput x(DType::f32, numbers);
      const auto count = static_cast<std::size_t>(inner);
      Reduce args{DType::f32, ReduceKind::sum, 1, reduced, inner, x.host.data(), nullptr};
      const auto expected = run_reference<float>(args, &Reduce::y, count);
      args.x = x.device.data();
      EXPECT_TRUE(close_each(run_typed(args, "reduce_few_rows", &Reduce::y, count), expected, 0));
    }
  }
}

TEST(CudaReduce, RepeatsAnyAxis) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const std::int64_t inner : {1, 5, 64}) {
      const TypedInput x(type, random_numbers(2 * inner, 1));
      const auto count = static_cast<std::size_t>(2 * 7 * inner);
      Repeat args{DType::f32, 2, 7, inner, 0.25, x.host.data(), nullptr};
      const auto expected = run_reference<float>(args, &Repeat::y, count);
      args.type = type;
      args.x = x.device.data();
      EXPECT_TRUE(close_each(run_typed(args, "repeat", &Repeat::y, count), expected, 0));  // a power of two
    }
  }
}

// Around a warp's lanes and a block's rows.
TEST(CudaSoftmax, GivesProbabilities) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const std::int64_t rows : {0, 1, 4, 5}) {
      for (const std::int64_t columns : {1, 2, 31, 32, 33, 1000}) {
        const TypedInput x(type, random_numbers(rows * columns, 1, -20, 20));
        const auto count = static_cast<std::size_t>(rows * columns);
        SoftmaxForward args{DType::f32, rows, columns, x.host.data(), nullptr};
        const auto expected = run_reference<float>(args, &SoftmaxForward::y, count);
        args.type = type;
        args.x = x.device.data();
        // expf of up to -40 is off by some units, of which probabilities of 1 at most are made.
        EXPECT_TRUE(close_each(run_typed(args, "softmax", &SoftmaxForward::y, count), expected,
                               3e-6 + (type == DType::f32 ? 0 : half_unit(type))));
      }
    }
  }
}

TEST(CudaSoftmax, MeasuresCrossEntropy) {
  PILA_NEEDS_DEVICE();
  for (const std::int64_t classes : {2, 10, 33, 1000}) {
    for (const double smoothing : {0.0, 0.1}) {
      for (const bool weighted : {false, true}) {
        constexpr std::int64_t kRows = 5;
        const auto logits = random_numbers(kRows * classes, 1, -10, 10);
        const auto labels = integer_data<std::int32_t>(kRows, 2, 0, classes - 1);
        const auto weights = random_numbers(classes, 3, 0.5, 2);
        const DeviceBuffer<float> logits_there(logits), weights_there(weights);
        const DeviceBuffer<std::int32_t> labels_there(labels);
        CrossEntropyForward args;
        args.rows = kRows;
        args.classes = classes;
        args.smoothing = smoothing;
        args.logits = logits.data();
        args.labels = labels.data();
        if (weighted) args.class_weights = weights.data();
        const auto expected = run_reference<float>(args, &CrossEntropyForward::losses, kRows);
        args.logits = logits_there.data();
        args.labels = labels_there.data();
        if (weighted) args.class_weights = weights_there.data();
        // Losses up to 50, and sums of a thousand logits.
        EXPECT_TRUE(
            close_each(run_on_device<float>(args, "cross_entropy", &CrossEntropyForward::losses, kRows),
                       expected, 4e-5));
      }
    }
  }
}

TEST(CudaSoftmax, SendsGradientsBack) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const std::int64_t columns : {1, 31, 33, 200}) {
      const TypedInput y(type, random_numbers(5 * columns, 1, 0, 1)),
          dy(type, random_numbers(5 * columns, 2));
      const auto count = static_cast<std::size_t>(5 * columns);
      SoftmaxBackward args{DType::f32, 5, columns, y.host.data(), dy.host.data(), nullptr};
      const auto expected = run_reference<float>(args, &SoftmaxBackward::dx, count);
      args.type = type;
      args.y = y.device.data();
      args.dy = dy.device.data();
      EXPECT_TRUE(close_by_norm(run_typed(args, "softmax_backward", &SoftmaxBackward::dx, count), expected,
                                2e-6 + (type == DType::f32 ? 0 : half_unit(type))));
    }
  }
}

TEST(CudaSoftmax, SendsTheLossBack) {
  PILA_NEEDS_DEVICE();
  for (const std::int64_t classes : {2, 33, 1000}) {
    for (const double smoothing : {0.0, 0.1}) {
      for (const bool weighted : {false, true}) {
        constexpr std::int64_t kRows = 5;
        const auto logits = random_numbers(kRows * classes, 1, -10, 10), dlosses = random_numbers(kRows, 4);
        const auto labels = integer_data<std::int32_t>(kRows, 2, 0, classes - 1);
        const auto weights = random_numbers(classes, 3, 0.5, 2);
        const DeviceBuffer<float> logits_there(logits), weights_there(weights), dlosses_there(dlosses);
        const DeviceBuffer<std::int32_t> labels_there(labels);
        CrossEntropyBackward args;
        args.rows = kRows;
        args.classes = classes;
        args.smoothing = smoothing;
        args.logits = logits.data();
        args.labels = labels.data();
        args.dlosses = dlosses.data();
        if (weighted) args.class_weights = weights.data();
        const auto count = static_cast<std::size_t>(kRows * classes);
        const auto expected = run_reference<float>(args, &CrossEntropyBackward::dlogits, count);
        args.logits = logits_there.data();
        args.labels = labels_there.data();
        args.dlosses = dlosses_there.data();
        if (weighted) args.class_weights = weights_there.data();
        // Probabilities are off by a few units (expf of up to -20).
        EXPECT_TRUE(close_each(
            run_on_device<float>(args, "cross_entropy_backward", &CrossEntropyBackward::dlogits, count),
            expected, 5e-6));
      }
    }
  }
}

// A class that is impossible costs nothing where the target has no share for it.
TEST(CudaSoftmax, TakesLogitsOfMinusInfinity) {
  PILA_NEEDS_DEVICE();
  const std::vector<float> logits = {1, 2, -INFINITY};
  const std::vector<std::int32_t> labels = {1};
  const DeviceBuffer<float> logits_there(logits);
  const DeviceBuffer<std::int32_t> labels_there(labels);
  CrossEntropyForward args;
  args.rows = 1;
  args.classes = 3;
  args.logits = logits.data();
  args.labels = labels.data();
  const auto expected = run_reference<float>(args, &CrossEntropyForward::losses, 1);
  args.logits = logits_there.data();
  args.labels = labels_there.data();
  EXPECT_TRUE(close_each(run_on_device<float>(args, "cross_entropy", &CrossEntropyForward::losses, 1),
                         expected, 1e-6));
}

TEST(CudaNorm, NormalisesByGivenStatistics) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const std::int64_t channels : {1, 7, 64}) {
      constexpr std::int64_t kRows = 50;
      const auto count = static_cast<std::size_t>(kRows * channels);
      const TypedInput x(type, random_numbers(kRows * channels, 1));
      const auto gamma = random_numbers(channels, 2), beta = random_numbers(channels, 3);
      const auto mean = random_numbers(channels, 4), variance = random_numbers(channels, 5, 0.1, 1);
      const DeviceBuffer<float> gamma_there(gamma), beta_there(beta), mean_there(mean),
          variance_there(variance);
      BatchNormInference args;
      args.rows = kRows;
      args.channels = channels;
      args.activation = Activation::relu6;
      args.x = x.host.data();
      args.gamma = gamma.data();
      args.beta = beta.data();
      args.mean = mean.data();
      args.variance = variance.data();
      const auto expected = run_reference<float>(args, &BatchNormInference::y, count);
      args.type = type;
      args.x = x.device.data();
      args.gamma = gamma_there.data();
      args.beta = beta_there.data();
      args.mean = mean_there.data();
      args.variance = variance_there.data();
      // A handful of roundings of numbers up to 6.
      EXPECT_TRUE(close_each(run_typed(args, "batch_norm_inference", &BatchNormInference::y, count), expected,
                             3e-6 + (type == DType::f32 ? 0 : 8 * half_unit(type))));
    }
  }
}

}  // namespace
}  // namespace pila::test::reduce_test
