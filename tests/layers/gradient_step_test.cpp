// Steps of training on the processor: what becomes of the weights' averages.
#include "layers/gradient_step.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <vector>

#include "layers/batch_statistics.h"
#include "layers/fine_tuning.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila::gradient_step_test {
namespace {

constexpr std::int64_t kBatch = 4, kSize = 32, kClasses = 3;

class AveragedStep : public testing::TestWithParam<bool> {
 protected:
  AveragedStep() {
    train_last(model_, 4);
    set_batch_statistics(model_, GetParam());
    step_.emplace(ctx_, model_, GradientStepOptions{.average = 0.9});
  }

  static ModelSpec small_spec() {
    ModelSpec spec;
    spec.width = 0.35;
    spec.input_height = spec.input_width = kSize;
    spec.head = imagenet_head(kClasses);
    return spec;
  }

  // One step whose loss is multiplied by a number.
  GradientStep::Result run(float factor) {
    const Shape shape{kBatch, kSize, kSize, 3};
    const auto pixels = test::uniform_data<float>(static_cast<std::size_t>(shape.elements()), 11);
    const auto labels = test::integer_data<std::int32_t>(kBatch, 12, 0, kClasses - 1);
    StepBatch batch{.images = Tensor::from(ctx_, shape, pixels),
                    .labels = Tensor::from(ctx_, {kBatch}, labels)};
    batch.others = batch.labels;
    for (Tensor& share : batch.shares) share = Tensor::full(ctx_, {{}, DType::f32}, factor);
    return step_->run(batch, {}, 1e-3, steps_++);
  }

  const Context ctx_{Device::cpu(2)};
  Model model_{ctx_, small_spec()};
  std::optional<GradientStep> step_;
  std::int64_t steps_ = 0;
};

// To the bit; a step that is not taken moves nothing.
TEST_P(AveragedStep, MovesAveragesAsIfTheyWereMovedBehindIt) {
  ExponentialAverage apart(ctx_, changing_values(model_), {.momentum = 0.9, .warm_up = true});
  const ExponentialAverage& together = *step_->average();
  ASSERT_EQ(together.averages().size(), apart.averages().size());
  EXPECT_EQ(apart.averages().size() > step_->adam().first_moments().size(), GetParam());
  for (const float factor : {0.5f, 0.5f, std::numeric_limits<float>::infinity(), 0.5f}) {
    const GradientStep::Result result = run(factor);
    EXPECT_EQ(result.finite, factor == 0.5f);
    if (result.finite) apart.update(ctx_);
    EXPECT_EQ(together.updates(), apart.updates());
    for (std::size_t i = 0; i < apart.averages().size(); ++i) {
      EXPECT_TRUE(test::same_bits(together.averages()[i].to_vector<float>(ctx_),
                                  apart.averages()[i].to_vector<float>(ctx_)))
          << "average " << i << ", step " << steps_;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BatchStatistics, AveragedStep, testing::Bool());

}  // namespace
}  // namespace pila::gradient_step_test
