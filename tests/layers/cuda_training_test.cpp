// Training steps through CUDA's kernels, against the processor's.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/ops/ops.h"
#include "engine/optim/adam.h"
#include "layers/model.h"
#include "tests/layers/plan_device.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila {
namespace {

constexpr std::int64_t kBatch = 4, kSize = 32, kClasses = 5;

// A network of MobileNetV2's make, the same on every device, and its optimizer.
class Training {
 public:
  explicit Training(const Context& ctx) : ctx_(ctx), model_(ctx, spec()) {
    std::vector<AdamParameter> parameters;
    for (const Parameter* parameter : model_.trainable_parameters()) {
      parameters.push_back({.value = parameter->value, .weight_decay = 0.01});
    }
    adam_ = std::make_unique<Adam>(ctx, std::move(parameters));
  }

  // One step on random images, with dropout and the batch's statistics. Returns the loss.
  float step() {
    const std::int64_t number = adam_->steps();
    const auto images = Tensor::from(ctx_, {kBatch, kSize, kSize, 3},
                                     test::uniform_data<float>(kBatch * kSize * kSize * 3, 11));
    const auto labels =
        Tensor::from(ctx_, {kBatch}, test::integer_data<std::int32_t>(kBatch, 12, 0, kClasses - 1));
    Tape tape;
    const auto counter = Tensor::from(ctx_, Shape{}, std::vector<std::int64_t>{number});
    const Context training = ctx_.for_training(7, counter).with_recorder(&tape);
    for (const Parameter* parameter : model_.trainable_parameters()) tape.watch(parameter->value);
    const Tensor losses =
        ops::sparse_cross_entropy(training, model_.logits(training, images), labels, /*smoothing=*/0.1);
    const Tensor loss = ops::mean(training, losses);
    adam_->step(ctx_, tape.backward(training.no_grad(), loss), 1e-3);
    return loss.item<float>(ctx_);
  }

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

 private:
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
  std::unique_ptr<Adam> adam_;
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

// Of a convolution and a product behind it: for the image and for both weights, one behind the other.
std::vector<float> gradients(const Context& ctx) {
  const auto random = [&](const Shape& shape, std::uint64_t seed) {
    return Tensor::from(ctx, shape,
                        test::uniform_data<float>(static_cast<std::size_t>(shape.elements()), seed, -1, 1));
  };
  const Tensor inputs[] = {random({2, 9, 9, 16}, 1), random({3, 3, 16, 24}, 2), random({1, 1, 24, 8}, 3)};
  Tape tape;
  for (const Tensor& input : inputs) tape.watch(input);
  const Context recorded = ctx.with_recorder(&tape);
  const Tensor wide = ops::conv2d(recorded, inputs[0], inputs[1], {}, {.stride = 2});
  const Tensor y = ops::conv2d(recorded, wide, inputs[2], {}, {});
  const Gradients found = tape.backward(ctx, ops::mean(recorded, ops::multiply(recorded, y, y)));
  std::vector<float> all;
  for (const Tensor& input : inputs) {
    const auto values = found.of(input).to_vector<float>(ctx);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// TF32 has 10 bits behind the point; three products lie behind each other.
TEST(CudaTraining, ProductsMayBeRounded) {
  if (!test::plan_device().lacks.empty()) GTEST_SKIP() << test::plan_device().lacks;
  const Context cuda(test::plan_device().device);
  const auto exact = gradients(Context(Device::cpu(1))),
             rounded = gradients(cuda.with_products(Precision::tf32));
  EXPECT_TRUE(test::close_by_norm(gradients(cuda), exact, 1e-5));
  EXPECT_TRUE(test::close_by_norm(rounded, exact, 3e-3));
  EXPECT_FALSE(test::close_by_norm(rounded, exact, 1e-5)) << "nothing is rounded";
  EXPECT_TRUE(test::same_bits(gradients(cuda.with_products(Precision::tf32)), rounded));
}

}  // namespace
}  // namespace pila
