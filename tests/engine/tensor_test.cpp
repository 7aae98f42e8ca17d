#include "engine/core/tensor.h"

#include <gmock/gmock.h>

#include "engine/core/context.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "tests/engine/recorders.h"

namespace pila {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class TensorTest : public testing::Test {
 protected:
  const Context ctx_{Device::cpu(1)};
};

TEST_F(TensorTest, KeepsTheHostsValues) {
  const Tensor x = Tensor::from<float>(ctx_, {2, 2}, std::vector<float>{1, 2, 3, 4});
  EXPECT_EQ(x.shape(), (Shape{2, 2}));
  EXPECT_EQ(x.type(), DType::f32);
  EXPECT_EQ(x.bytes(), 16u);
  EXPECT_THAT(x.to_vector<float>(ctx_), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(x.data_as<float>()[3], 4);
}

TEST_F(TensorTest, HoldsEveryType) {
  EXPECT_THAT(Tensor::from<double>(ctx_, {1}, std::vector<double>{0.1}).to_vector<double>(ctx_),
              ElementsAre(0.1));
  EXPECT_THAT(
      Tensor::from<std::uint8_t>(ctx_, {1}, std::vector<std::uint8_t>{255}).to_vector<std::uint8_t>(ctx_),
      ElementsAre(255));
  EXPECT_THAT(
      Tensor::from<std::int32_t>(ctx_, {1}, std::vector<std::int32_t>{-5}).to_vector<std::int32_t>(ctx_),
      ElementsAre(-5));
  EXPECT_EQ(
      Tensor::from<std::int64_t>(ctx_, {}, std::vector<std::int64_t>{1ll << 40}).item<std::int64_t>(ctx_),
      1ll << 40);
}

TEST_F(TensorTest, ReachesSixteenBitFloatsByCasting) {
  const Tensor x = Tensor::from<float>(ctx_, {3}, std::vector<float>{1.5f, -0.333f, 65504});
  const Tensor half = ops::cast(ctx_, x, DType::f16);
  EXPECT_EQ(half.bytes(), 6u);
  EXPECT_EQ(half.to_vector<kernels::Float16>(ctx_)[0].bits, 0x3E00);
  EXPECT_THAT(ops::cast(ctx_, half, DType::f32).to_vector<float>(ctx_),
              ElementsAre(1.5f, testing::FloatNear(-0.333f, 2e-4f), 65504));
  const Tensor brain = ops::cast(ctx_, x, DType::bf16);
  EXPECT_EQ(brain.to_vector<kernels::BFloat16>(ctx_)[0].bits, 0x3FC0);
}

TEST_F(TensorTest, IsFilled) {
  EXPECT_THAT(Tensor::zeros(ctx_, {{3}, DType::f32}).to_vector<float>(ctx_), Each(0));
  EXPECT_THAT(Tensor::full(ctx_, {{3}, DType::f64}, 2.5).to_vector<double>(ctx_), Each(2.5));
  EXPECT_THAT(Tensor::full(ctx_, {{3}, DType::i32}, -2).to_vector<std::int32_t>(ctx_), Each(-2));
  EXPECT_THAT(Tensor::full(ctx_, {{3}, DType::u8}, 7).to_vector<std::uint8_t>(ctx_), Each(7));
  EXPECT_EQ(Tensor::full(ctx_, {{1}, DType::f16}, 1).to_vector<kernels::Float16>(ctx_)[0].bits, 0x3C00);
  EXPECT_THAT(Tensor::zeros(ctx_, {{2, 0}, DType::f32}).to_vector<float>(ctx_), testing::IsEmpty());
}

TEST_F(TensorTest, SharesValuesAndIdentityAmongCopies) {
  const Tensor x = Tensor::full(ctx_, {{2}, DType::f32}, 1);
  const Tensor copy = x;
  EXPECT_EQ(copy.id(), x.id());
  EXPECT_EQ(copy.data(), x.data());
  copy.assign<float>(ctx_, std::vector<float>{5, 6});
  EXPECT_THAT(x.to_vector<float>(ctx_), ElementsAre(5, 6));
  EXPECT_NE(Tensor::full(ctx_, {{2}, DType::f32}, 1).id(), x.id());
}

TEST_F(TensorTest, IsSeenThroughViews) {
  const Tensor x = Tensor::full(ctx_, {{2, 3}, DType::f32}, 1);
  const Tensor view = x.view({3, 2});
  EXPECT_NE(view.id(), x.id());
  EXPECT_EQ(view.data(), x.data());
  x.assign(ctx_, Tensor::full(ctx_, {{2, 3}, DType::f32}, 4));
  EXPECT_THAT(view.to_vector<float>(ctx_), Each(4));
  EXPECT_EQ(view.version(), x.version());
  EXPECT_THAT([&] { (void)x.view({4}); },
              ThrowsMessage<ShapeError>(AllOf(HasSubstr("float32[2, 3]"), HasSubstr("[4]"))));
}

TEST_F(TensorTest, GivesItsMemoryBackWithTheLastOwner) {
  Allocator& allocator = ctx_.device()->allocator();
  {
    Tensor view;
    {
      const Tensor x = Tensor::empty(ctx_, {{1000}, DType::f32});
      view = x.view({10, 100});
    }
    EXPECT_GE(allocator.statistics().bytes_in_use, 4000u);
  }
  EXPECT_EQ(allocator.statistics().bytes_in_use, 0u);
}

TEST_F(TensorTest, OutlivesTheContextThatMadeIt) {
  Tensor x;
  {
    const Context other{Device::cpu(1)};
    x = Tensor::full(other, {{2}, DType::f32}, 3);
  }
  EXPECT_THAT(x.to_vector<float>(ctx_), Each(3));
}

TEST_F(TensorTest, TakesValuesFromAnotherDevice) {
  const Context other{Device::reference()};
  const Tensor x = Tensor::zeros(ctx_, {{2}, DType::f32});
  x.assign(ctx_, Tensor::full(other, {{2}, DType::f32}, 8));
  EXPECT_THAT(x.to_vector<float>(ctx_), Each(8));
}

TEST_F(TensorTest, CountsWhatOverwritesIt) {
  const Tensor x = Tensor::zeros(ctx_, {{2}, DType::f32});
  const auto before = x.version();
  x.assign(ctx_, x);  // changes nothing
  EXPECT_EQ(x.version(), before);
  x.assign<float>(ctx_, std::vector<float>{1, 2});
  EXPECT_GT(x.version(), before);
}

TEST_F(TensorTest, RefusesValuesThatDoNotFit) {
  const Tensor x = Tensor::zeros(ctx_, {{2, 2}, DType::f32});
  EXPECT_THAT(([&] {
                Tensor::from<float>(ctx_, {2, 2}, std::vector<float>{1, 2, 3});
              }),
              ThrowsMessage<ShapeError>(HasSubstr("expected 4 values for float32[2, 2], got 3")));
  EXPECT_THAT([&] { x.assign<float>(ctx_, std::vector<float>{1}); },
              ThrowsMessage<ShapeError>(HasSubstr("expected 4 values for float32[2, 2], got 1")));
  EXPECT_THAT(([&] {
                x.assign<double>(ctx_, std::vector<double>{1, 2, 3, 4});
              }),
              ThrowsMessage<ShapeError>(HasSubstr("expected float64 values, got float32[2, 2]")));
  EXPECT_THAT(
      [&] {
        x.assign(ctx_, Tensor::zeros(ctx_, {{4}, DType::f32}));
      },
      ThrowsMessage<ShapeError>(AllOf(HasSubstr("float32[2, 2]"), HasSubstr("float32[4]"))));
  EXPECT_THAT([&] { x.assign(ctx_, Tensor()); }, ThrowsMessage<ShapeError>(HasSubstr("undefined")));
  EXPECT_THAT([&] { (void)x.to_vector<double>(ctx_); },
              ThrowsMessage<ShapeError>(HasSubstr("expected float64 values, got float32[2, 2]")));
  EXPECT_THAT([&] { (void)x.item<float>(ctx_); },
              ThrowsMessage<ShapeError>(HasSubstr("expected a single value, got float32[2, 2]")));
}

TEST_F(TensorTest, IsUselessWhileUndefined) {
  const Tensor nothing;
  EXPECT_FALSE(nothing);
  EXPECT_EQ(nothing.id(), 0u);
  EXPECT_THROW((void)nothing.shape(), UsageError);
  EXPECT_THROW((void)nothing.data(), UsageError);
  EXPECT_THROW((void)nothing.view({1}), UsageError);
}

TEST_F(TensorTest, HasNoValuesWhileSymbolic) {
  const Tensor x = Tensor::symbolic({{2, 3}, DType::f32});
  EXPECT_TRUE(x.symbolic());
  EXPECT_EQ(x.shape(), (Shape{2, 3}));
  EXPECT_THAT([&] { (void)x.data(); }, ThrowsMessage<UsageError>(HasSubstr("float32[2, 3] is symbolic")));
  EXPECT_THROW((void)x.to_vector<float>(ctx_), UsageError);
  EXPECT_THROW((void)x.device(), UsageError);
  EXPECT_THROW(x.assign(ctx_, Tensor::zeros(ctx_, {{2, 3}, DType::f32})), UsageError);
  EXPECT_TRUE(x.view({6}).symbolic());
}

TEST_F(TensorTest, CannotBeReadOrAssignedWhileTracing) {
  test::TracingRecorder recorder;
  const Context tracing = ctx_.with_recorder(&recorder);
  const Tensor x = Tensor::zeros(ctx_, {{1}, DType::f32});
  EXPECT_THAT([&] { (void)x.item<float>(tracing); }, ThrowsMessage<UsageError>(HasSubstr("while tracing")));
  EXPECT_THROW(x.assign<float>(tracing, std::vector<float>{1}), UsageError);
  EXPECT_THROW(x.assign(tracing, Tensor::zeros(ctx_, {{1}, DType::f32})), UsageError);
}

TEST(Context, NeedsADevice) { EXPECT_THROW(Context(nullptr), UsageError); }

TEST(Context, ChangesOneThingAtATime) {
  const Context ctx{Device::cpu(1)};
  EXPECT_FALSE(ctx.training());
  EXPECT_EQ(ctx.recorder(), nullptr);
  const Tensor step = Tensor::zeros(ctx, {{}, DType::i64});
  const Context training = ctx.for_training(9, step);
  EXPECT_TRUE(training.training());
  EXPECT_EQ(training.seed(), 9u);
  EXPECT_EQ(training.step().id(), step.id());
  EXPECT_FALSE(training.inference().training());
  test::TracingRecorder recorder;
  const Context recorded = training.with_recorder(&recorder);
  EXPECT_EQ(recorded.recorder(), &recorder);
  EXPECT_TRUE(recorded.training());
  EXPECT_TRUE(recorded.tracing());
  EXPECT_EQ(recorded.no_grad().recorder(), nullptr);
  EXPECT_TRUE(recorded.no_grad().training());
  EXPECT_THAT(
      [&] {
        (void)ctx.for_training(0, Tensor::zeros(ctx, {{2}, DType::f32}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("got float32[2]")));
  EXPECT_THROW((void)ctx.for_training(0, Tensor()), ShapeError);
}

}  // namespace
}  // namespace pila
