#include "kernels/args/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/finite_differences.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::loss_test {
namespace {

using test::close_each;
using test::GuardedBuffer;
using test::run_entry;
using test::uniform_data;
using test::Written;

template <class T>
constexpr DType kType = sizeof(T) == 8 ? DType::f64 : DType::f32;

template <class T>
std::vector<T> softmax(const std::vector<T>& x, std::size_t columns) {
  GuardedBuffer<T> y(x.size());
  run_entry(reference::table(),
            SoftmaxForward{kType<T>, static_cast<std::int64_t>(columns == 0 ? 2 : x.size() / columns),
                           static_cast<std::int64_t>(columns), x.data(), y.data()});
  EXPECT_TRUE(y.check(Written::all));
  return y.values();
}

TEST(ReferenceSoftmax, GivesKnownProbabilities) {
  EXPECT_TRUE(close_each(softmax<double>({0, std::log(3.0), std::log(4.0), std::log(8.0)}, 2),
                         std::vector<double>{0.25, 0.75, 1.0 / 3, 2.0 / 3}, 1e-15));
  EXPECT_EQ(softmax<double>({7, 7, 7, 7}, 4), std::vector<double>(4, 0.25));
  EXPECT_EQ(softmax<float>({5, -3}, 1), (std::vector<float>{1, 1}));
  EXPECT_TRUE(softmax<float>({}, 0).empty());
}

TEST(ReferenceSoftmax, StandsExtremes) {
  EXPECT_EQ(softmax<float>({1e4f, -1e4f, -1e4f, 1e4f, 1e4f, 1e4f}, 2),
            (std::vector<float>{1, 0, 0, 1, 0.5f, 0.5f}));
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(softmax<float>({-infinity, 0, 0}, 3), (std::vector<float>{0, 0.5f, 0.5f}));
  for (const float y : softmax<float>({1, std::numeric_limits<float>::quiet_NaN(), 2}, 3)) {
    EXPECT_TRUE(std::isnan(y));
  }
}

TEST(ReferenceSoftmax, BackwardIsTheDerivative) {
  for (const std::size_t columns : {1, 2, 17}) {
    auto x = uniform_data<double>(3 * columns, 1, -4, 4);
    const auto dy = uniform_data<double>(3 * columns, 2);
    const auto y = softmax(x, columns);
    GuardedBuffer<double> dx(x.size());
    run_entry(reference::table(), SoftmaxBackward{DType::f64, 3, static_cast<std::int64_t>(columns), y.data(),
                                                  dy.data(), dx.data()});
    EXPECT_TRUE(dx.check(Written::all));
    const auto loss = [&] { return test::inner_product(softmax(x, columns), dy); };
    EXPECT_TRUE(close_each(dx, test::numerical_gradient(x, loss), 1e-9));

    const std::vector<float> narrow_y(y.begin(), y.end()), narrow_dy(dy.begin(), dy.end());
    GuardedBuffer<float> narrow_dx(x.size());
    run_entry(reference::table(), SoftmaxBackward{DType::f32, 3, static_cast<std::int64_t>(columns),
                                                  narrow_y.data(), narrow_dy.data(), narrow_dx.data()});
    EXPECT_TRUE(close_each(narrow_dx, dx, 5e-7));  // y and dy were rounded, and cancel in the difference
  }
}

TEST(ReferenceSoftmax, WorksInPlace) {
  const auto x = uniform_data<double>(12, 1), dy = uniform_data<double>(12, 2);
  auto y = x;
  run_entry(reference::table(), SoftmaxForward{DType::f64, 3, 4, y.data(), y.data()});
  EXPECT_EQ(y, softmax(x, 4));
  GuardedBuffer<double> dx(12);
  run_entry(reference::table(), SoftmaxBackward{DType::f64, 3, 4, y.data(), dy.data(), dx.data()});
  auto in_place = dy;
  run_entry(reference::table(),
            SoftmaxBackward{DType::f64, 3, 4, y.data(), in_place.data(), in_place.data()});
  EXPECT_EQ(in_place, dx.values());
}

template <class T>
struct Loss {
  std::size_t rows, classes;
  double smoothing = 0;
  std::vector<T> logits, class_weights;
  std::vector<std::int32_t> labels;

  std::vector<T> forward() const {
    GuardedBuffer<T> losses(rows);
    CrossEntropyForward args{kType<T>,
                             static_cast<std::int64_t>(rows),
                             static_cast<std::int64_t>(classes),
                             smoothing,
                             logits.data(),
                             labels.data(),
                             class_weights.empty() ? nullptr : class_weights.data(),
                             losses.data()};
    run_entry(reference::table(), args);
    EXPECT_TRUE(losses.check(Written::all));
    return losses.values();
  }
  std::vector<T> backward(const std::vector<T>& dlosses) const {
    GuardedBuffer<T> dlogits(logits.size());
    CrossEntropyBackward args{kType<T>,
                              static_cast<std::int64_t>(rows),
                              static_cast<std::int64_t>(classes),
                              smoothing,
                              logits.data(),
                              labels.data(),
                              class_weights.empty() ? nullptr : class_weights.data(),
                              dlosses.data(),
                              dlogits.data()};
    run_entry(reference::table(), args);
    EXPECT_TRUE(dlogits.check(Written::all));
    return dlogits.values();
  }
};

template <class T>
Loss<T> random_loss(std::size_t rows, std::size_t classes, double smoothing, bool weighted) {
  return {rows,
          classes,
          smoothing,
          uniform_data<T>(rows * classes, 1, -3, 3),
          weighted ? uniform_data<T>(classes, 2, 0.2, 3) : std::vector<T>{},
          test::integer_data<std::int32_t>(rows, 3, 0, static_cast<std::int64_t>(classes) - 1)};
}

TEST(ReferenceCrossEntropy, FollowsTheFormulaForwardAndBackward) {
  for (const auto& [rows, classes] : {std::pair<std::size_t, std::size_t>{1, 2}, {3, 1}, {4, 7}}) {
    for (const double smoothing : {0.0, 0.1}) {
      for (const bool weighted : {false, true}) {
        auto problem = random_loss<double>(rows, classes, smoothing, weighted);
        std::vector<double> expected;
        for (std::size_t r = 0; r < rows; ++r) {
          double sum = 0, loss = 0;
          for (std::size_t j = 0; j < classes; ++j) sum += std::exp(problem.logits[r * classes + j]);
          const auto label = static_cast<std::size_t>(problem.labels[r]);
          for (std::size_t j = 0; j < classes; ++j) {
            const double target = (j == label ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes);
            loss -= target * std::log(std::exp(problem.logits[r * classes + j]) / sum);
          }
          expected.push_back(loss * (weighted ? problem.class_weights[label] : 1));
        }
        EXPECT_TRUE(close_each(problem.forward(), expected, 1e-13));

        const auto dlosses = uniform_data<double>(rows, 4);
        const auto dlogits = problem.backward(dlosses);
        const auto loss = [&] { return test::inner_product(problem.forward(), dlosses); };
        EXPECT_TRUE(close_each(dlogits, test::numerical_gradient(problem.logits, loss), 1e-9));

        // float32 of the same numbers: inputs and result are rounded, and softmax - target cancels.
        const auto narrow = random_loss<float>(rows, classes, smoothing, weighted);
        EXPECT_TRUE(close_each(narrow.forward(), expected, 3e-6));
        EXPECT_TRUE(
            close_each(narrow.backward(std::vector<float>(dlosses.begin(), dlosses.end())), dlogits, 1e-6));
      }
    }
  }
}

TEST(ReferenceCrossEntropy, StandsExtremeLogits) {
  Loss<float> problem{2, 2, 0, {1e4f, -1e4f, 1e4f, -1e4f}, {}, {0, 1}};
  EXPECT_EQ(problem.forward(), (std::vector<float>{0, 2e4f}));
  EXPECT_EQ(problem.backward({1, 1}), (std::vector<float>{0, 0, 1, -1}));
  // An impossible class costs nothing as long as it has no share in the target.
  const float infinity = std::numeric_limits<float>::infinity();
  problem = {1, 2, 0, {0, -infinity}, {}, {0}};
  EXPECT_EQ(problem.forward(), std::vector<float>{0});
  problem.smoothing = 0.1;
  EXPECT_EQ(problem.forward(), std::vector<float>{infinity});
}

TEST(ReferenceCrossEntropy, UndecidedLogitsCostTheLogarithmOfTheClasses) {
  for (const double smoothing : {0.0, 0.3}) {
    const Loss<double> problem{1, 5, smoothing, std::vector<double>(5, 2.0), {}, {3}};
    EXPECT_NEAR(problem.forward()[0], std::log(5.0), 1e-15);
  }
}

TEST(ReferenceCrossEntropy, OfNoRowsIsNothing) {
  const Loss<float> problem{0, 4, 0, {}, {}, {}};
  EXPECT_TRUE(problem.forward().empty());
  EXPECT_TRUE(problem.backward({}).empty());
}

}  // namespace
}  // namespace pila::kernels::loss_test
