#include "engine/optim/adam.h"

#include <gmock/gmock.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/optim/average.h"
#include "tests/engine/recorders.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class AdamTest : public testing::Test {
 protected:
  Tensor of(const std::vector<double>& values) const {
    return Tensor::from(ctx_, {static_cast<std::int64_t>(values.size())}, values);
  }
  std::vector<double> values(const Tensor& x) const { return x.to_vector<double>(ctx_); }

  const Context ctx_{Device::reference()};
};

// Keras' formula on one number.
struct ScalarAdam {
  double w, m = 0, v = 0;
  void step(double g, int t, double rate, double decay, const AdamOptions& o) {
    w -= w * decay * rate;
    m += (g - m) * (1 - o.beta1);
    v += (g * g - v) * (1 - o.beta2);
    w -= m * rate * std::sqrt(1 - std::pow(o.beta2, t)) / (1 - std::pow(o.beta1, t)) /
         (std::sqrt(v) + o.epsilon);
  }
};

TEST_F(AdamTest, FollowsKerasFormulaForTenSteps) {
  const AdamOptions options{.beta1 = 0.8, .beta2 = 0.99, .epsilon = 1e-4, .weight_decay = 0.1};
  const Tensor a = of({1, -2}), b = of({0.5});
  Adam adam(ctx_, {{.value = a}, {.value = b, .weight_decay = 0, .rate_factor = 0.5}}, options);
  ScalarAdam expected[] = {{1}, {-2}, {0.5}};
  for (int t = 1; t <= 10; ++t) {
    const double rate = 0.1 / t;
    const double gradient[] = {std::sin(t), 1.0 / t, -3.0 + t};
    Gradients gradients;
    gradients.set(a, of({gradient[0], gradient[1]}));
    gradients.set(b, of({gradient[2]}));
    adam.step(ctx_, gradients, rate);
    expected[0].step(gradient[0], t, rate, 0.1, options);
    expected[1].step(gradient[1], t, rate, 0.1, options);
    expected[2].step(gradient[2], t, rate * 0.5, 0, options);
    // The same operations in another order of rounding.
    ASSERT_TRUE(test::close_each(values(a), std::vector{expected[0].w, expected[1].w}, 1e-13))
        << "step " << t;
    ASSERT_TRUE(test::close_each(values(b), std::vector{expected[2].w}, 1e-13)) << "step " << t;
  }
  EXPECT_TRUE(
      test::close_each(values(adam.first_moments()[0]), std::vector{expected[0].m, expected[1].m}, 1e-14));
  EXPECT_TRUE(test::close_each(values(adam.second_moments()[1]), std::vector{expected[2].v}, 1e-14));
  EXPECT_EQ(adam.steps(), 10);
}

TEST_F(AdamTest, LeavesParametersWithoutAGradientAlone) {
  const Tensor a = of({1}), b = of({2});
  Adam adam(ctx_, {{.value = a}, {.value = b}}, {.weight_decay = 0.5});
  Gradients gradients;
  gradients.set(a, of({1}));
  adam.step(ctx_, gradients, 0.1);
  EXPECT_NE(values(a)[0], 1);
  EXPECT_THAT(values(b), ElementsAre(2));
  EXPECT_THAT(values(adam.second_moments()[1]), ElementsAre(0));
  adam.step(ctx_, Gradients(), 0.1);
  EXPECT_EQ(adam.steps(), 2);
}

TEST_F(AdamTest, GoesOnFromACheckpoint) {
  const auto run = [&](int from, int to, const Tensor& w, Adam& adam) {
    for (int t = from; t < to; ++t) {
      Gradients gradients;
      gradients.set(w, of({std::cos(t), 0.3}));
      adam.step(ctx_, gradients, 0.01);
    }
  };
  const Tensor whole = of({1, 2});
  Adam straight(ctx_, {{.value = whole}});
  run(0, 8, whole, straight);

  const Tensor first = of({1, 2});
  Adam before(ctx_, {{.value = first}});
  run(0, 5, first, before);
  const Tensor second = of(values(first));
  Adam after(ctx_, {{.value = second}});
  after.first_moments()[0].assign(ctx_, before.first_moments()[0]);
  after.second_moments()[0].assign(ctx_, before.second_moments()[0]);
  after.restore_steps(ctx_, before.steps());
  run(5, 8, second, after);
  EXPECT_TRUE(test::same_bits(values(second), values(whole)));
}

TEST_F(AdamTest, ComputesInFloat32Too) {
  const Tensor w = Tensor::from<float>(ctx_, {1}, std::vector<float>{1});
  Adam adam(ctx_, {{.value = w}});
  Gradients gradients;
  gradients.set(w, Tensor::from<float>(ctx_, {1}, std::vector<float>{0.3f}));
  adam.step(ctx_, gradients, 0.001);
  EXPECT_NEAR(w.item<float>(ctx_), 0.999, 1e-6) << "the first step has the rate's size";
}

TEST_F(AdamTest, LeavesEverythingWhenAGradientIsNotFinite) {
  const Tensor a = of({1, 2}), b = of({3});
  Adam adam(ctx_, {{.value = a}, {.value = b}}, {.weight_decay = 0.1});
  Gradients gradients;
  gradients.set(a, of({0.5, 0.25}));
  gradients.set(b, of({0.5}));
  adam.step(ctx_, gradients, 0.01);
  EXPECT_NEAR(adam.gradient_norm().item<double>(ctx_), 0.75, 1e-15);
  const std::vector<double> kept_a = values(a), kept_b = values(b), moment = values(adam.first_moments()[0]);
  gradients.set(b, of({std::nan("")}));
  adam.step(ctx_, gradients, 0.01);
  EXPECT_TRUE(std::isnan(adam.gradient_norm().item<double>(ctx_)));
  EXPECT_TRUE(test::same_bits(values(a), kept_a));
  EXPECT_TRUE(test::same_bits(values(b), kept_b));
  EXPECT_TRUE(test::same_bits(values(adam.first_moments()[0]), moment));
  gradients.set(b, of({0.5}));
  adam.step(ctx_, gradients, 0.01);
  EXPECT_NE(values(b)[0], kept_b[0]);
}

// To the bits of averages that are moved behind each step; those of other values are not Adam's.
TEST_F(AdamTest, MovesTheAveragesOfItsParameters) {
  const AverageOptions options{.momentum = 0.9, .warm_up = true};
  const Tensor a = of({1, 2}), b = of({3}), other = of({4});
  ExponentialAverage together(ctx_, {b, other, a}, options), apart(ctx_, {b, other, a}, options);
  const Tensor alone = of({5});  // has no average
  Adam adam(ctx_, {{.value = a}, {.value = alone}, {.value = b}}, {}, &together);
  for (int t = 0; t < 5; ++t) {
    Gradients gradients;
    gradients.set(a, of({std::sin(t), 0.5}));
    gradients.set(alone, of({1}));
    gradients.set(b, of({t == 3 ? std::nan("") : std::cos(t)}));
    together.advance(ctx_);
    adam.step(ctx_, gradients, 0.1);
    if (t == 3) {
      together.restore_updates(together.updates() - 1);
    } else {
      apart.update(ctx_);
    }
    for (const std::size_t i : {0, 2}) {
      EXPECT_TRUE(test::same_bits(values(together.averages()[i]), values(apart.averages()[i]))) << t;
    }
    const double moved = 10 + t;
    other.assign<double>(ctx_, {&moved, 1});
    EXPECT_THAT(values(together.averages()[1]), ElementsAre(4));
  }
  together.accumulate(ctx_);
  EXPECT_NE(values(together.averages()[1])[0], 4) << "left to the average";
}

TEST_F(AdamTest, IsOneOperationThatWritesAllButGradients) {
  const Tensor a = of({1}), b = of({2}), gradient = of({3});
  ExponentialAverage average(ctx_, {b});
  const Adam adam(ctx_, {{.value = a}, {.value = b}}, {}, &average);
  Gradients gradients;
  gradients.set(a, gradient);
  gradients.set(b, gradient);
  test::TracingRecorder recorder;
  adam.update(ctx_.with_recorder(&recorder), gradients);
  ASSERT_EQ(recorder.entries.size(), 2u);  // the norm before it
  const auto& [op, inputs, outputs] = recorder.entries[1];
  ASSERT_EQ(inputs.size(), 3u + 2 * 4 + 2);
  EXPECT_EQ(inputs[11].id(), average.momentum().id());
  EXPECT_EQ(inputs[12].id(), average.averages()[0].id());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_EQ(op->writes(i), i >= 3 && i != 11 && inputs[i].id() != gradient.id()) << i;
  }
}

TEST_F(AdamTest, RefusesWhatItCannotUpdate) {
  const Tensor w = of({1, 2});
  EXPECT_THAT(([&] {
                Adam(ctx_, {{.value = w}, {.value = Tensor::zeros(ctx_, {{1}, DType::f32})}});
              }),
              ThrowsMessage<ShapeError>(HasSubstr("[adam] expected parameters of one type")));
  EXPECT_THROW(Adam(ctx_, {{.value = Tensor::zeros(ctx_, {{1}, DType::i32})}}), ShapeError);
  EXPECT_THAT(([&] {
                Adam(ctx_, {{.value = w}, {.value = w}});
              }),
              ThrowsMessage<UsageError>(HasSubstr("each parameter once, got float64[2] twice")));
  EXPECT_THAT(([&] { Adam(ctx_, {{.value = w}}, {.clip_norm = 0}); }),
              ThrowsMessage<UsageError>(HasSubstr("a clip_norm above 0")));
  Adam adam(ctx_, {{.value = w}});
  Gradients gradients;
  gradients.set(w, of({1}));
  EXPECT_THAT(
      [&] { adam.step(ctx_, gradients, 0.1); },
      ThrowsMessage<ShapeError>(HasSubstr("[adam] expected a gradient of float64[2], got float64[1]")));
}

}  // namespace
}  // namespace pila
