#include "engine/autograd/tape.h"

#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "tests/engine/recorders.h"
#include "tests/engine/small_net.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class TapeTest : public testing::Test {
 protected:
  Tensor of(const std::vector<double>& values) const {
    return Tensor::from(ctx_, {static_cast<std::int64_t>(values.size())}, values);
  }
  std::vector<double> values(const Tensor& x) const { return x.to_vector<double>(ctx_); }

  const Context ctx_{Device::reference()};
  Tape tape_;
  const Context recorded_ = ctx_.with_recorder(&tape_);
};

TEST_F(TapeTest, AddsTheGradientsOfEveryUse) {
  const Tensor x = of({1, 2});
  tape_.watch(x);
  const Tensor y = ops::add(recorded_, ops::multiply(recorded_, x, x), ops::affine(recorded_, x, 10));
  const Gradients gradients = tape_.backward(ctx_, ops::sum(recorded_, y));
  EXPECT_THAT(values(gradients.of(x)), ElementsAre(12, 14));
}

TEST_F(TapeTest, RecordsOnlyWhatDependsOnAWatchedTensor) {
  const Tensor x = of({1, 2}), w = of({3, 4});
  tape_.watch(w);
  const Tensor frozen = ops::activation(recorded_, ops::affine(recorded_, x, 2), Activation::sigmoid);
  EXPECT_EQ(tape_.size(), 0u);
  const Tensor y = ops::multiply(recorded_, frozen, w);
  EXPECT_EQ(tape_.size(), 1u);
  const Gradients gradients = tape_.backward(ctx_, ops::sum(recorded_, y));
  EXPECT_TRUE(test::same_bits(values(gradients.of(w)), values(frozen)));
  EXPECT_FALSE(gradients.of(x));
}

TEST_F(TapeTest, LeavesOutWhatTheLossDoesNotDependOn) {
  const Tensor x = of({1, 2}), unused = of({5, 6});
  tape_.watch(x);
  tape_.watch(unused);
  ops::multiply(recorded_, unused, unused);  // leads nowhere
  const Tensor loss = ops::sum(recorded_, x);
  const Gradients gradients = tape_.backward(ctx_, loss);
  EXPECT_THAT(values(gradients.of(x)), Each(1));
  EXPECT_FALSE(gradients.of(unused));
}

TEST_F(TapeTest, ForgetsWhatItWalkedBack) {
  const Tensor x = of({1, 2});
  tape_.watch(x);
  const Tensor loss = ops::sum(recorded_, x);
  tape_.backward(ctx_, loss);
  EXPECT_EQ(tape_.size(), 0u);
  EXPECT_THROW(tape_.backward(ctx_, loss), UsageError);
  // What was watched stays so, for the next step.
  EXPECT_THAT(values(tape_.backward(ctx_, ops::sum(recorded_, ops::affine(recorded_, x, 3))).of(x)), Each(3));
}

TEST_F(TapeTest, SeesNothingUnderNoGrad) {
  const Tensor x = of({1, 2});
  tape_.watch(x);
  const Tensor hidden = ops::multiply(recorded_.no_grad(), x, x);
  EXPECT_EQ(tape_.size(), 0u);
  const Gradients gradients = tape_.backward(ctx_, ops::sum(recorded_, ops::multiply(recorded_, x, hidden)));
  EXPECT_THAT(values(gradients.of(x)), ElementsAre(1, 4)) << "the square counts as a constant";
}

TEST_F(TapeTest, WatchesInnerTensorsToo) {
  const Tensor x = of({1, 2});
  tape_.watch(x);
  const Tensor inner = ops::affine(recorded_, x, 3);
  tape_.watch(inner);
  const Gradients gradients =
      tape_.backward(ctx_, ops::sum(recorded_, ops::multiply(recorded_, inner, inner)));
  EXPECT_THAT(values(gradients.of(inner)), ElementsAre(6, 12));
  EXPECT_THAT(values(gradients.of(x)), ElementsAre(18, 36));
}

TEST_F(TapeTest, WatchesTheOutputOfAFrozenPart) {
  const Tensor x = of({1, 2});
  const Tensor features = ops::affine(recorded_, x, 3);
  tape_.watch(features);
  const Gradients gradients =
      tape_.backward(ctx_, ops::sum(recorded_, ops::multiply(recorded_, features, features)));
  EXPECT_THAT(values(gradients.of(features)), ElementsAre(6, 12));
}

TEST_F(TapeTest, GivesOneForTheLossItself) {
  const Tensor x = of({5});
  tape_.watch(x);
  EXPECT_THAT(values(tape_.backward(ctx_, x).of(x)), ElementsAre(1));
}

TEST_F(TapeTest, StartsFromTheGradientOfAnyOutput) {
  const Tensor x = of({1, 2}), unused = of({5, 6});
  tape_.watch(x);
  const Tensor y = ops::multiply(recorded_, x, x);
  EXPECT_THAT(values(tape_.backward(ctx_, y, of({10, 100})).of(x)), ElementsAre(20, 400));
  EXPECT_THAT(values(tape_.backward(ctx_, x, of({3, 4})).of(x)), ElementsAre(3, 4));
  EXPECT_FALSE(tape_.backward(ctx_, unused, of({3, 4})).of(x));
  EXPECT_THAT([&] { tape_.backward(ctx_, x, of({1})); },
              ThrowsMessage<ShapeError>(HasSubstr("got float64[2], float64[1]")));
  EXPECT_THROW(tape_.backward(ctx_, x, Tensor()), ShapeError);
}

TEST_F(TapeTest, RefusesWhatHasNoGradient) {
  const Tensor x = of({1, 2});
  EXPECT_THAT([&] { tape_.backward(ctx_, ops::sum(recorded_, x)); },
              ThrowsMessage<UsageError>(HasSubstr("depends on no watched tensor")));
  tape_.watch(x);
  EXPECT_THAT([&] { tape_.backward(ctx_, ops::affine(recorded_, x, 2)); },
              ThrowsMessage<ShapeError>(HasSubstr("a loss of one element, got float64[2]")));
  EXPECT_THROW(tape_.backward(ctx_, Tensor()), ShapeError);
  EXPECT_THAT(
      [&] {
        tape_.watch(Tensor::zeros(ctx_, {{1}, DType::i32}));
      },
      ThrowsMessage<UsageError>(HasSubstr("got int32[1]")));
  EXPECT_THROW(tape_.watch(Tensor()), UsageError);
}

TEST_F(TapeTest, StopsAtIntegers) {
  const Tensor x = of({1, 2});
  tape_.watch(x);
  const Tensor rounded = ops::cast(recorded_, x, DType::i32);
  EXPECT_THROW(tape_.backward(ctx_, ops::sum(recorded_, ops::cast(recorded_, rounded, DType::f64))),
               UsageError);
}

TEST_F(TapeTest, NoticesValuesThatWereOverwritten) {
  const Tensor x = of({1, 2}), w = of({3, 4});
  tape_.watch(x);
  const Tensor loss = ops::sum(recorded_, ops::multiply(recorded_, x, w));
  w.assign<double>(ctx_, std::vector<double>{0, 0});
  EXPECT_THAT([&] { tape_.backward(ctx_, loss); },
              ThrowsMessage<UsageError>(HasSubstr("the gradient of multiply needs was overwritten")));
}

TEST_F(TapeTest, DoesNotMindOverwritingWhatItDoesNotNeed) {
  const Tensor x = of({1, 2}), w = of({3, 4});
  tape_.watch(w);
  const Tensor loss = ops::sum(recorded_, ops::multiply(recorded_, x, w));
  w.assign<double>(ctx_, std::vector<double>{0, 0});  // only x is needed for w's gradient
  EXPECT_THAT(values(tape_.backward(ctx_, loss).of(w)), ElementsAre(1, 2));
}

TEST_F(TapeTest, PassesGradientsOfSumsOnWithoutCopying) {
  const Tensor a = of({1, 2}), b = of({3, 4});
  tape_.watch(a);
  tape_.watch(b);
  const Gradients gradients = tape_.backward(ctx_, ops::sum(recorded_, ops::add(recorded_, a, b)));
  EXPECT_EQ(gradients.of(a).data(), gradients.of(b).data());
}

TEST_F(TapeTest, TellsTheRecorderBehindItOfBothDirections) {
  test::ListingRecorder behind;
  Tape tape(&behind);
  const Tensor x = of({1, 2});
  tape.watch(x);
  const Context recorded = ctx_.with_recorder(&tape);
  const Tensor y = ops::activation(recorded, x, Activation::sigmoid);
  tape.backward(recorded, ops::sum(recorded, y));
  EXPECT_THAT(behind.names(), ElementsAre("activation", "reduce_sum", "repeat", "activation_backward"));
  EXPECT_EQ(tape.size(), 0u) << "a tape does not record its own way back";
}

TEST_F(TapeTest, FreesMemoryAsItWalksBack) {
  const Allocator& allocator = ctx_.device()->allocator();
  constexpr std::int64_t kElements = 1 << 14;
  constexpr std::size_t kBytes = kElements * sizeof(double);
  constexpr std::size_t kLayers = 10;
  const Tensor x = Tensor::full(ctx_, {{kElements}, DType::f64}, 0.5);
  tape_.watch(x);
  const std::size_t before = allocator.statistics().bytes_in_use;
  Tensor y = x;
  for (std::size_t layer = 0; layer < kLayers; ++layer)
    y = ops::activation(recorded_, y, Activation::sigmoid);
  const Tensor loss = ops::sum(recorded_, y);
  y = Tensor();
  EXPECT_GE(allocator.statistics().bytes_in_use, before + kLayers * kBytes);
  {
    const Gradients gradients = tape_.backward(ctx_, loss);
    // All layers' outputs are gone, and on the way there were never more than two gradients beside them.
    EXPECT_LE(allocator.statistics().bytes_in_use, before + kBytes + 256);
    EXPECT_LE(allocator.statistics().peak_bytes_in_use, before + (kLayers + 2) * kBytes + 1024);
  }
  EXPECT_LE(allocator.statistics().bytes_in_use, before + 128);
}

TEST_F(TapeTest, FindsAllMemoryOfALaterStepInTheCache) {
  const test::SmallNet net(ctx_);
  const auto [images, labels] = test::small_batch(ctx_, 4, 16);
  Adam adam = net.optimizer(ctx_);
  const Context training = ctx_.for_training(1, Tensor::zeros(ctx_, {{}, DType::i64}));
  const auto step = [&, x = images, y = labels] { adam.step(ctx_, net.gradients(training, x, y), 0.01); };
  step();
  const auto before = ctx_.device()->allocator().statistics();
  step();
  const auto after = ctx_.device()->allocator().statistics();
  EXPECT_GT(after.requests, before.requests + 50);
  EXPECT_EQ(after.device_allocations, before.device_allocations);
  EXPECT_EQ(after.bytes_in_use, before.bytes_in_use);
}

TEST_F(TapeTest, KeepsNoInputsOfFrozenWeights) {
  const Allocator& allocator = ctx_.device()->allocator();
  const Tensor x = Tensor::full(ctx_, {{1, 16, 16, 8}, DType::f64}, 0.5);
  const Tensor kernel = Tensor::full(ctx_, {{3, 3, 8, 8}, DType::f64}, 0.1);
  tape_.watch(x);
  const std::size_t before = allocator.statistics().bytes_in_use;
  Tensor y = x;
  for (int layer = 0; layer < 8; ++layer) {
    y = ops::conv2d(recorded_, y, kernel, {}, {.padding = ops::Padding::same});
  }
  EXPECT_EQ(tape_.size(), 8u);
  // The way to x needs the kernels alone: only the last output is alive.
  EXPECT_LE(allocator.statistics().bytes_in_use, before + x.bytes() + 64);
}

TEST_F(TapeTest, SurvivesAFailureOnTheWayBack) {
  const Tensor x = of({1, 2}), w = of({3, 4});
  tape_.watch(x);
  const Tensor loss = ops::sum(recorded_, ops::multiply(recorded_, x, w));
  w.assign<double>(ctx_, std::vector<double>{0, 0});
  EXPECT_THROW(tape_.backward(ctx_, loss), UsageError);
  EXPECT_EQ(tape_.size(), 0u);
  EXPECT_THAT(values(tape_.backward(ctx_, ops::sum(recorded_, x)).of(x)), Each(1));
}

// Cutting a batch in two and adding up gives the whole batch's gradient. Statistics of the batch would
// differ, so the network runs on the moving ones. In float32 sums in another order differ by some 1e-7 a
// term.
TEST_F(TapeTest, AccumulatesMicroBatches) {
  const test::SmallNet net(ctx_);
  const auto [images, labels] = test::small_batch(ctx_, 6, 10);
  const Gradients whole = net.gradients(ctx_, images, labels);

  const auto pixels = images.to_vector<float>(ctx_);
  const auto classes = labels.to_vector<std::int32_t>(ctx_);
  Gradients sum;
  for (std::size_t part = 0; part < 2; ++part) {
    const Tensor x = Tensor::from<float>(ctx_, {3, 10, 10, 3}, std::span(pixels).subspan(part * 900, 900));
    const Tensor y = Tensor::from<std::int32_t>(ctx_, {3}, std::span(classes).subspan(part * 3, 3));
    sum.accumulate(ctx_, net.gradients(ctx_, x, y));
  }
  for (const Tensor& parameter : net.parameters()) {
    SCOPED_TRACE(parameter.spec().to_string());
    const Tensor mean = ops::affine(ctx_, sum.of(parameter), 0.5);
    EXPECT_TRUE(
        test::close_by_norm(mean.to_vector<float>(ctx_), whole.of(parameter).to_vector<float>(ctx_), 2e-6));
  }
}

TEST_F(TapeTest, AccumulatesWhatOnlyOnePassHas) {
  const Tensor a = of({1}), b = of({2});
  Gradients first, second;
  first.set(a, of({10}));
  second.set(a, of({1}));
  second.set(b, of({5}));
  first.accumulate(ctx_, second);
  EXPECT_THAT(values(first.of(a)), ElementsAre(11));
  EXPECT_THAT(values(first.of(b)), ElementsAre(5));
}

}  // namespace
}  // namespace pila
