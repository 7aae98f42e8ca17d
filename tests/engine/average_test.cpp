// Averages of weights, and the rate's schedule where Keras has nothing to say.
#include "engine/optim/average.h"

#include <gmock/gmock.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/optim/schedule.h"
#include "tests/engine/recorders.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

class AverageTest : public testing::Test {
 protected:
  Tensor of(const std::vector<double>& values) const {
    return Tensor::from(ctx_, {static_cast<std::int64_t>(values.size())}, values);
  }
  std::vector<double> values(const Tensor& x) const { return x.to_vector<double>(ctx_); }

  const Context ctx_{Device::reference()};
};

TEST_F(AverageTest, BeginsWithTheFirstValuesAndForgetsThem) {
  const Tensor w = of({1, 2});
  ExponentialAverage average(ctx_, {w}, {.momentum = 0.75});
  EXPECT_EQ(values(average.averages()[0]), (std::vector<double>{1, 2}));
  w.assign<double>(ctx_, std::vector<double>{4, 8});
  average.update(ctx_);
  EXPECT_EQ(values(average.averages()[0]), (std::vector<double>{4, 8}));
  w.assign<double>(ctx_, std::vector<double>{0, 16});
  average.update(ctx_);
  EXPECT_EQ(values(average.averages()[0]), (std::vector<double>{3, 10}));
  EXPECT_EQ(average.updates(), 2);
}

TEST_F(AverageTest, WarmsUp) {
  const Tensor w = of({0});
  ExponentialAverage average(ctx_, {w}, {.momentum = 0.9, .warm_up = true});
  double expected = 0;
  for (int t = 0; t < 100; ++t) {
    const double value = std::sin(t);
    w.assign<double>(ctx_, {&value, 1});
    average.update(ctx_);
    const double momentum = t == 0 ? 0 : std::min(0.9, (1.0 + t) / (10.0 + t));
    expected = momentum * expected + (1 - momentum) * value;
    ASSERT_NEAR(values(average.averages()[0])[0], expected, 1e-15) << t;
  }
}

TEST_F(AverageTest, SwapsToTheBitAndBack) {
  const std::vector<double> first = {0.1, -0.0, std::nan("")}, second = {1e300, 1, 3};
  const Tensor w = of(first);
  const ExponentialAverage average(ctx_, {w});
  w.assign<double>(ctx_, second);
  average.swap(ctx_);
  EXPECT_TRUE(test::same_bits(values(w), first));
  EXPECT_TRUE(test::same_bits(values(average.averages()[0]), second));
  average.swap(ctx_);
  EXPECT_TRUE(test::same_bits(values(w), second));
}

TEST_F(AverageTest, GoesOnFromACheckpoint) {
  const Tensor w = of({0.5});
  const auto run = [&](int from, int to, ExponentialAverage& average) {
    for (int t = from; t < to; ++t) {
      const double value = std::cos(t);
      w.assign<double>(ctx_, {&value, 1});
      average.update(ctx_);
    }
  };
  const AverageOptions options{.momentum = 0.99, .warm_up = true};
  ExponentialAverage straight(ctx_, {w}, options);
  run(0, 9, straight);
  ExponentialAverage before(ctx_, {w}, options);
  run(0, 4, before);
  ExponentialAverage after(ctx_, {w}, options);
  after.averages()[0].assign(ctx_, before.averages()[0]);
  after.restore_updates(before.updates());
  run(4, 9, after);
  EXPECT_TRUE(test::same_bits(values(after.averages()[0]), values(straight.averages()[0])));
}

TEST_F(AverageTest, IsOneOperationThatWritesTheAverages) {
  const Tensor a = of({1}), b = of({2, 3});
  ExponentialAverage average(ctx_, {a, b});
  test::TracingRecorder recorder;
  average.accumulate(ctx_.with_recorder(&recorder));
  ASSERT_EQ(recorder.entries.size(), 1u);
  const auto& [op, inputs, outputs] = recorder.entries[0];
  EXPECT_EQ(inputs.size(), 5u);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool is_average =
        inputs[i].id() == average.averages()[0].id() || inputs[i].id() == average.averages()[1].id();
    EXPECT_EQ(op->writes(i), is_average) << i;
  }
}

TEST_F(AverageTest, LeavesOutWhatAnOptimizerMoves) {
  const Tensor a = of({1}), b = of({2}), c = of({3});
  ExponentialAverage average(ctx_, {a, b}, {.momentum = 0.5});
  EXPECT_EQ(average.hand_over(b).id(), average.averages()[1].id());
  EXPECT_FALSE(average.hand_over(c).defined());
  for (const Tensor& value : {a, b}) value.assign<double>(ctx_, std::vector<double>{8});
  average.update(ctx_);
  EXPECT_EQ(values(average.averages()[0]), (std::vector<double>{8}));
  EXPECT_EQ(values(average.averages()[1]), (std::vector<double>{2}));
  average.hand_over(a);
  test::TracingRecorder recorder;
  average.accumulate(ctx_.with_recorder(&recorder));
  EXPECT_TRUE(recorder.entries.empty()) << "nothing is left";
}

TEST_F(AverageTest, RefusesWhatItCannotAverage) {
  const Tensor w = of({1});
  EXPECT_THROW(ExponentialAverage(ctx_, {w, w}), UsageError);
  EXPECT_THROW(ExponentialAverage(ctx_, {w, Tensor::zeros(ctx_, {{1}, DType::f32})}), ShapeError);
  EXPECT_THROW(ExponentialAverage(ctx_, {w}, {.momentum = 1}), UsageError);
  EXPECT_THROW(ExponentialAverage(ctx_, {w}, {.momentum = std::nan("")}), UsageError);
}

TEST(Schedule, StaysOrWarmsUp) {
  EXPECT_EQ(rate_at({.rate = 0.5}, 0), 0.5);
  EXPECT_EQ(rate_at({.rate = 0.5}, 1'000'000'000'000), 0.5);
  const Schedule warm{.rate = 0.5, .warmup_steps = 10};
  EXPECT_EQ(rate_at(warm, 0), 0);
  EXPECT_EQ(rate_at(warm, 5), 0.25);
  EXPECT_EQ(rate_at(warm, 10), 0.5);
}

TEST(Schedule, EndsAtItsFinalFraction) {
  const Schedule schedule{.kind = ScheduleKind::cosine, .rate = 2, .decay_steps = 8, .final_fraction = 0.25};
  EXPECT_EQ(rate_at(schedule, 0), 2);
  EXPECT_NEAR(rate_at(schedule, 4), 1.25, 1e-15);
  EXPECT_EQ(rate_at(schedule, 8), 0.5);
  EXPECT_EQ(rate_at(schedule, 100), 0.5);
}

TEST(Schedule, RefusesWhatIsNoSchedule) {
  EXPECT_THROW(rate_at({.rate = -1}, 0), UsageError);
  EXPECT_THROW(rate_at({.rate = std::nan("")}, 0), UsageError);
  EXPECT_THROW(rate_at({.warmup_steps = -1}, 0), UsageError);
  EXPECT_THROW(rate_at({.decay_steps = 0}, 0), UsageError);
  EXPECT_THROW(rate_at({.final_fraction = HUGE_VAL}, 0), UsageError);
  EXPECT_THROW(rate_at({}, -1), UsageError);
}

}  // namespace
}  // namespace pila
