#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/cpu/against_reference.h"

namespace pila::test {
namespace {

using namespace kernels;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// An exponential of float32 is good to a few units in the last place, and so is a sum of as many.
constexpr double kTolerance = 1e-6;

constexpr std::int64_t kColumns[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 1000, 1001, 20000};

std::vector<float> softmax(std::int64_t rows, std::int64_t columns, const std::vector<float>& x, bool fast) {
  const GuardedBuffer<float> guarded(x);
  SoftmaxForward args;
  args.rows = rows;
  args.columns = columns;
  args.x = guarded.data();
  return fast ? run_fast<float>(args, "softmax_f32", &SoftmaxForward::y, x.size())
              : run_reference<float>(args, &SoftmaxForward::y, x.size());
}

TEST(CpuSoftmax, EveryWidth) {
  for (const std::int64_t columns : kColumns) {
    for (const std::int64_t rows : {0, 1, 5, 32}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << columns);
      const auto count = static_cast<std::size_t>(rows * columns);
      for (const double range : {1.0, 90.0}) {
        const auto x = uniform_data<float>(count, 1, -range, range);
        const auto expected = softmax(rows, columns, x, false);
        EXPECT_TRUE(close_by_norm(softmax(rows, columns, x, true), expected, kTolerance));
      }
      const GuardedBuffer<float> y(softmax(rows, columns, uniform_data<float>(count, 1), false));
      const GuardedBuffer<float> dy(uniform_data<float>(count, 2));
      SoftmaxBackward args;
      args.rows = rows;
      args.columns = columns;
      args.y = y.data();
      args.dy = dy.data();
      const auto expected = run_reference<float>(args, &SoftmaxBackward::dx, count);
      const auto actual = run_fast<float>(args, "softmax_backward_f32", &SoftmaxBackward::dx, count);
      // With one column the gradient is 0 or what rounding leaves of it.
      EXPECT_TRUE(columns == 1 ? close_each(actual, expected, 1e-7)
                               : close_by_norm(actual, expected, kTolerance));
    }
  }
}

TEST(CpuSoftmax, HugeLogitsDoNotOverflow) {
  const auto y = softmax(1, 3, {3e38f, -3e38f, 3e38f}, true);
  EXPECT_FLOAT_EQ(y[0], 0.5f);
  EXPECT_EQ(y[1], 0.0f);
}

TEST(CpuSoftmax, NanAndInfinity) {
  for (const std::size_t place : {0u, 3u, 20u, 36u}) {
    for (const float special : {kNan, kInfinity, -kInfinity}) {
      auto x = uniform_data<float>(37, 3);
      x[place] = special;
      EXPECT_TRUE(same_specials(softmax(1, 37, x, true), softmax(1, 37, x, false)));
    }
  }
  const std::vector<float> nothing(5, -kInfinity);
  EXPECT_TRUE(same_specials(softmax(1, 5, nothing, true), softmax(1, 5, nothing, false)));
}

TEST(CpuSoftmax, InPlace) {
  const auto x = uniform_data<float>(3 * 37, 4, -5, 5);
  GuardedBuffer<float> y(x);
  SoftmaxForward args;
  args.rows = 3;
  args.columns = 37;
  args.x = args.y = y.data();
  run_entry(cpu::table(), args, streams()[1], "softmax_f32");
  EXPECT_TRUE(same_bits(y.values(), softmax(3, 37, x, true)));
}

struct CrossEntropyCase {
  std::int64_t rows, classes;
  double smoothing;
  bool weighted;
  std::vector<float> logits;
};

void expect_same_cross_entropy(const CrossEntropyCase& test) {
  SCOPED_TRACE(testing::Message() << test.rows << " x " << test.classes << ", smoothing " << test.smoothing);
  const auto rows = static_cast<std::size_t>(test.rows), classes = static_cast<std::size_t>(test.classes);
  const GuardedBuffer<float> logits(test.logits), weights(uniform_data<float>(classes, 5, 0.5, 2));
  const GuardedBuffer<float> dlosses(uniform_data<float>(rows, 6));
  const GuardedBuffer<std::int32_t> labels(integer_data<std::int32_t>(rows, 7, 0, test.classes - 1));
  CrossEntropyForward forward;
  forward.rows = test.rows;
  forward.classes = test.classes;
  forward.smoothing = test.smoothing;
  forward.logits = logits.data();
  forward.labels = labels.data();
  forward.class_weights = test.weighted ? weights.data() : nullptr;
  const auto losses = run_fast<float>(forward, "cross_entropy_f32", &CrossEntropyForward::losses, rows);
  const auto expected = run_reference<float>(forward, &CrossEntropyForward::losses, rows);
  EXPECT_TRUE(same_specials(losses, expected));
  bool finite = true;
  for (const float loss : expected) finite = finite && std::isfinite(loss);

  CrossEntropyBackward backward;
  backward.rows = test.rows;
  backward.classes = test.classes;
  backward.smoothing = test.smoothing;
  backward.logits = logits.data();
  backward.labels = labels.data();
  backward.class_weights = forward.class_weights;
  backward.dlosses = dlosses.data();
  const auto gradients =
      run_fast<float>(backward, "cross_entropy_backward_f32", &CrossEntropyBackward::dlogits, rows * classes);
  const auto expected_gradients =
      run_reference<float>(backward, &CrossEntropyBackward::dlogits, rows * classes);
  EXPECT_TRUE(same_specials(gradients, expected_gradients));
  if (!finite) return;
  // A loss near 0 is a difference of numbers near 1.
  EXPECT_TRUE(close_by_norm(losses, expected, kTolerance) || close_each(losses, expected, kTolerance));
  EXPECT_TRUE(close_by_norm(gradients, expected_gradients, 2 * kTolerance) ||
              close_each(gradients, expected_gradients, 1e-7));
}

TEST(CpuCrossEntropy, EveryWidth) {
  for (const std::int64_t classes : kColumns) {
    for (const std::int64_t rows : {0, 1, 5, 32}) {
      for (const double smoothing : {0.0, 0.1, 1.0}) {
        const auto count = static_cast<std::size_t>(rows * classes);
        for (const double range : {3.0, 80.0}) {
          expect_same_cross_entropy(
              {rows, classes, smoothing, smoothing > 0, uniform_data<float>(count, 8, -range, range)});
        }
      }
    }
  }
}

TEST(CpuCrossEntropy, NanAndInfinity) {
  for (std::size_t place = 0; place < 19; ++place) {
    for (const float special : {kNan, kInfinity, -kInfinity}) {
      for (const double smoothing : {0.0, 0.1, 1.0}) {
        auto logits = uniform_data<float>(19, 9);
        logits[place] = special;
        expect_same_cross_entropy({1, 19, smoothing, false, logits});
      }
    }
  }
}

}  // namespace
}  // namespace pila::test
