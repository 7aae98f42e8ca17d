// Training steps through CUDA's kernels, against the processor's.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "layers/batch_statistics.h"
#include "layers/gradient_step.h"
#include "layers/model.h"
#include "tests/layers/plan_device.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila {
namespace {

constexpr std::int64_t kBatch = 4, kSize = 32, kClasses = 5;

// A network of MobileNetV2's make, the same on every device, that learns the same images in each step, with
// dropout and the batch's statistics.
class Training {
 public:
  explicit Training(const Context& ctx, Precision precision = Precision::f32, bool captures = true)
      : ctx_(ctx),
        model_(ctx, spec()),
        step_(ctx, model_,
              {.adam = {.weight_decay = 0.01},
               .label_smoothing = 0.1,
               .average = 0.9,
               .precision = precision,
               .captures = captures,
               .seed = 7}),
        apart_(ctx, changing_values(model_), {.momentum = 0.9, .warm_up = true}) {}

  // From now on batch normalisation passes on what it gets, or goes by what it measures now: the statistics
  // of each batch of so few pixels make much of a rounding.
  void freeze_statistics() { set_batch_statistics(model_, false); }
  void measure_statistics() {
    Tensor batch = images(kBatch);
    recalibrate_batch_norm(ctx_, model_, [&] { return std::exchange(batch, Tensor()); });
    freeze_statistics();
  }

  // One step on the first `count` images. Returns the loss.
  float step(std::int64_t count = kBatch) {
    const auto labels =
        test::integer_data<std::int32_t>(static_cast<std::size_t>(count), 12, 0, kClasses - 1);
    const auto made = step_.run({.images = images(count), .labels = Tensor::from(ctx_, {count}, labels)}, {},
                                1e-3, steps_++);
    taken = made.taken;
    if (taken) apart_.update(ctx_);
    EXPECT_TRUE(made.finite);
    return made.loss.item<float>(ctx_);
  }

  // Of all that learns, one behind the other.
  std::vector<float> first_moments() const { return values_of(step_.adam().first_moments()); }
  // The same of all that changes: as the steps move them, and as they are when moved behind each step.
  std::vector<float> averages() const { return values_of(step_.average()->averages()); }
  std::vector<float> averages_apart() const { return values_of(apart_.averages()); }
  // Of all layers, one behind the other.
  std::vector<float> weights() const {
    std::vector<float> all;
    for (const auto& layer : model_.layers()) {
      for (const Parameter& parameter : layer->parameters()) {
        const auto values = parameter.value.to_vector<float>(ctx_);
        all.insert(all.end(), values.begin(), values.end());
      }
    }
    return all;
  }

  GradientStep& gradient_step() { return step_; }
  bool taken = true;  // the last step

 private:
  Tensor images(std::int64_t count) const {
    const Shape shape{count, kSize, kSize, 3};
    return Tensor::from(ctx_, shape,
                        test::uniform_data<float>(static_cast<std::size_t>(shape.elements()), 11));
  }

  std::vector<float> values_of(const std::vector<Tensor>& tensors) const {
    std::vector<float> all;
    for (const Tensor& tensor : tensors) {
      const auto values = tensor.to_vector<float>(ctx_);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  static ModelSpec spec() {
    ModelSpec spec;
    spec.width = 0.35;
    spec.input_height = spec.input_width = kSize;
    spec.head = imagenet_head(kClasses);
    HeadLayerSpec dropout;
    dropout.type = "Dropout";
    dropout.name = "dropout";
    dropout.rate = 0.2;
    spec.head.insert(spec.head.begin() + 1, dropout);
    return spec;
  }

  const Context ctx_;
  Model model_;
  GradientStep step_;
  ExponentialAverage apart_;
  std::int64_t steps_ = 0;
};

TEST(CudaTraining, StepsAreTheProcessors) {
  if (!test::plan_device().lacks.empty()) GTEST_SKIP() << test::plan_device().lacks;
  Training on_cpu{Context(Device::cpu(1))}, on_cuda{Context(test::plan_device().device)},
      again{Context(test::plan_device().device)};
  EXPECT_TRUE(test::same_bits(on_cuda.weights(), on_cpu.weights())) << "the random weights to begin with";
  // Rounding grows through fifty layers whose statistics are those of a few pixels. Behind the first step it
  // is more: Adam's first steps are as large as the rate whatever the gradient's size, and where a gradient
  // is all rounding, their direction is, too. Processors differ there by up to 0.4%.
  for (const double tolerance : {1e-3, 2e-2}) {
    const float expected = on_cpu.step();
    EXPECT_NEAR(on_cuda.step(), expected, tolerance * static_cast<double>(expected));
    again.step();
  }
  EXPECT_TRUE(test::close_by_norm(on_cuda.weights(), on_cpu.weights(), 5e-3));
  EXPECT_TRUE(test::same_bits(again.weights(), on_cuda.weights())) << "other bits in another run";
}

// The second step is captured, the last two are launched; a smaller batch comes in between.
TEST(CudaTraining, CapturedStepsAreTheSame) {
  if (!test::plan_device().lacks.empty()) GTEST_SKIP() << test::plan_device().lacks;
  const Context ctx(test::plan_device().device);
  Training captured(ctx), step_by_step(ctx, Precision::f32, /*captures=*/false);
  for (const std::int64_t count : {kBatch, kBatch, kBatch - 1, kBatch, kBatch}) {
    EXPECT_EQ(captured.step(count), step_by_step.step(count));
    EXPECT_TRUE(test::same_bits(captured.weights(), step_by_step.weights()));
    EXPECT_TRUE(test::same_bits(captured.averages(), captured.averages_apart()));
  }
}

TEST(CudaTraining, BlocksThatAreComputedAgainChangeNothing) {
  if (!test::plan_device().lacks.empty()) GTEST_SKIP() << test::plan_device().lacks;
  const Context ctx(test::plan_device().device);
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    Training kept(ctx, precision), again(ctx.with_recomputation(true), precision);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(again.step(), kept.step()) << to_string(precision);
    EXPECT_TRUE(test::same_bits(again.weights(), kept.weights())) << to_string(precision);
  }
}

TEST(CudaTraining, InSixteenBitsStepsAreNear) {
  if (!test::plan_device().lacks.empty()) GTEST_SKIP() << test::plan_device().lacks;
  const Context ctx(test::plan_device().device);
  Training exact(ctx);
  exact.freeze_statistics();
  const double expected = static_cast<double>(exact.step());
  for (const Precision precision : {Precision::bf16, Precision::f16}) {
    Training rounded(ctx, precision), again(ctx, precision);
    for (Training* training : {&rounded, &again}) training->freeze_statistics();
    // Activations and their gradients are rounded fifty times, to 8 bits and to 11. The first moments behind
    // a step are a tenth of the gradient.
    const double unit = precision == Precision::bf16 ? 0x1p-8 : 0x1p-11;
    EXPECT_NEAR(rounded.step(), expected, 4 * unit * expected) << to_string(precision);
    if (precision == Precision::bf16) {  // what these weights make of images becomes too small for float16
      EXPECT_TRUE(test::close_by_norm(rounded.first_moments(), exact.first_moments(), 16 * unit));
      EXPECT_FALSE(test::close_by_norm(rounded.first_moments(), exact.first_moments(), unit / 4));
    }
    again.step();
    for (int i = 0; i < 2; ++i) EXPECT_EQ(rounded.step(), again.step());
    EXPECT_TRUE(test::same_bits(again.weights(), rounded.weights())) << "other bits in another run";
  }
}

TEST(CudaTraining, StepsWhoseGradientsDoNotFitIntoFloat16AreLeftOut) {
  if (!test::plan_device().lacks.empty()) GTEST_SKIP() << test::plan_device().lacks;
  const Context ctx(test::plan_device().device);
  Training training(ctx, Precision::f16);
  training.measure_statistics();
  GradientStep& step = training.gradient_step();
  const auto weights = training.weights();
  step.loss_scale()->restore(ctx, 0x1p5, 0);
  int left_out = 0;
  for (training.step(); !training.taken && left_out < 5; training.step()) {
    EXPECT_TRUE(test::same_bits(training.weights(), weights));
    EXPECT_EQ(step.adam().steps(), 0);
    EXPECT_EQ(step.average()->updates(), 0);
    EXPECT_TRUE(test::same_bits(training.averages(), training.averages_apart()));
    EXPECT_EQ(step.loss_scale()->scale(), std::ldexp(1.0, 5 - ++left_out));
  }
  EXPECT_GT(left_out, 0);
  EXPECT_LT(left_out, 5);
  EXPECT_EQ(step.adam().steps(), 1);
  EXPECT_TRUE(test::same_bits(training.averages(), training.averages_apart()));
  EXPECT_FALSE(test::same_bits(training.weights(), weights));
}

TEST(CudaTraining, OnlyInWhatTheDeviceHas) {
  const Context cpu(Device::cpu(1));
  for (const Precision precision : {Precision::tf32, Precision::bf16, Precision::f16, Precision::i8}) {
    EXPECT_THROW(Training(cpu, precision), UsageError) << to_string(precision);
  }
  if (!test::plan_device().lacks.empty()) return;
  EXPECT_THROW(Training(Context(test::plan_device().device), Precision::i8), UsageError);
}

// Of a convolution and a product behind it, stored in this type: for the image and for both weights, one
// behind the other.
std::vector<float> gradients(const Context& ctx, DType type = DType::f32) {
  const auto random = [&](const Shape& shape, std::uint64_t seed) {
    return Tensor::from(ctx, shape,
                        test::uniform_data<float>(static_cast<std::size_t>(shape.elements()), seed, -1, 1));
  };
  const Tensor inputs[] = {random({2, 9, 9, 16}, 1), random({3, 3, 16, 24}, 2), random({1, 1, 24, 8}, 3)};
  Tape tape;
  for (const Tensor& input : inputs) tape.watch(input);
  const Context recorded = ctx.with_recorder(&tape);
  Tensor stored[3];
  for (int i = 0; i < 3; ++i) stored[i] = ops::cast(recorded, inputs[i], type);
  const Tensor wide = ops::conv2d(recorded, stored[0], stored[1], {}, {.stride = 2});
  const Tensor y = ops::cast(recorded, ops::conv2d(recorded, wide, stored[2], {}, {}), DType::f32);
  const Gradients found = tape.backward(ctx, ops::mean(recorded, ops::multiply(recorded, y, y)));
  std::vector<float> all;
  for (const Tensor& input : inputs) {
    const auto values = found.of(input).to_vector<float>(ctx);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// TF32 and float16 have 10 bits behind the point, bfloat16 has 7; three products lie behind each other.
TEST(CudaTraining, ProductsMayBeRounded) {
  if (!test::plan_device().lacks.empty()) GTEST_SKIP() << test::plan_device().lacks;
  const Context cuda(test::plan_device().device);
  const auto exact = gradients(Context(Device::cpu(1))),
             rounded = gradients(cuda.with_products(Precision::tf32));
  EXPECT_TRUE(test::close_by_norm(gradients(cuda), exact, 1e-5));
  EXPECT_TRUE(test::close_by_norm(rounded, exact, 3e-3));
  EXPECT_FALSE(test::close_by_norm(rounded, exact, 1e-5)) << "nothing is rounded";
  EXPECT_TRUE(test::same_bits(gradients(cuda.with_products(Precision::tf32)), rounded));
  EXPECT_TRUE(test::close_by_norm(gradients(cuda, DType::f16), exact, 3e-3));
  EXPECT_TRUE(test::close_by_norm(gradients(cuda, DType::bf16), exact, 2.4e-2));
}

}  // namespace
}  // namespace pila
