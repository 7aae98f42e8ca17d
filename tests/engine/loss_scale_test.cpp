#include "engine/optim/loss_scale.h"

#include <gtest/gtest.h>

namespace pila {
namespace {

class LossScaleTest : public testing::Test {
 protected:
  float value() const { return scale_.value().item<float>(ctx_); }

  const Context ctx_{Device::cpu(1)};
  LossScale scale_{ctx_, {.initial = 8, .smallest = 2, .largest = 16, .patience = 3}};
};

TEST_F(LossScaleTest, MultipliesTheLoss) {
  EXPECT_EQ(scale_.scaled(ctx_, Tensor::full(ctx_, {{}, DType::f32}, 0.5)).item<float>(ctx_), 4);
}

TEST_F(LossScaleTest, IsHalvedAsFarAsItMayBe) {
  EXPECT_TRUE(scale_.update(ctx_, false));
  EXPECT_EQ(value(), 4);
  EXPECT_TRUE(scale_.update(ctx_, false));
  EXPECT_EQ(value(), 2);
  EXPECT_FALSE(scale_.update(ctx_, false));
  EXPECT_EQ(value(), 2);
}

TEST_F(LossScaleTest, IsDoubledBehindEnoughGoodStepsInARow) {
  const auto good = [&](int steps) {
    for (int i = 0; i < steps; ++i) EXPECT_TRUE(scale_.update(ctx_, true));
  };
  good(2);
  scale_.update(ctx_, false);
  good(2);
  EXPECT_EQ(value(), 4);
  good(1);
  EXPECT_EQ(value(), 8);
  good(30);
  EXPECT_EQ(value(), 16) << "the largest";
}

TEST_F(LossScaleTest, GoesOnWhereACheckpointLeftIt) {
  scale_.update(ctx_, true);
  scale_.update(ctx_, true);
  LossScale other(ctx_, {.initial = 2, .largest = 16, .patience = 3});
  other.restore(ctx_, scale_.scale(), scale_.good_steps());
  other.update(ctx_, true);
  EXPECT_EQ(other.value().item<float>(ctx_), 16);
}

}  // namespace
}  // namespace pila
