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
  explicit Training(const Context& ctx, Precision products = Precision::f32)
      : ctx_(ctx.with_products(products)), model_(ctx, spec()) {
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

// TF32 has as many bits as float16: a step's loss is off by some thousandths.
TEST(CudaTraining, ProductsMayBeRounded) {
  if (!test::plan_device().lacks.empty()) GTEST_SKIP() << test::plan_device().lacks;
  const Context cuda(test::plan_device().device);
  Training exact{cuda}, rounded{cuda, Precision::tf32}, again{cuda, Precision::tf32};
  const float expected = exact.step(), loss = rounded.step();
  EXPECT_NE(loss, expected);
  EXPECT_NEAR(loss, expected, 2e-2 * static_cast<double>(expected));
  EXPECT_FALSE(test::same_bits(rounded.weights(), exact.weights()));
  again.step();
  EXPECT_TRUE(test::same_bits(again.weights(), rounded.weights())) << "other bits in another run";
}

}  // namespace
}  // namespace pila
