// MobileNetV2 whose blocks are computed again on the way back: the same training, to the bit, in less memory.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/ops/ops.h"
#include "engine/optim/adam.h"
#include "engine/plan/trace.h"
#include "layers/batch_statistics.h"
#include "layers/model.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila::recompute_test {
namespace {

constexpr std::int64_t kSize = 64, kClasses = 5;

ModelSpec small_spec() {
  ModelSpec spec;
  spec.width = 0.35;
  spec.input_height = spec.input_width = kSize;
  spec.head = imagenet_head(kClasses);
  spec.head.insert(spec.head.begin() + 1, {.type = "Dropout", .name = "dropout", .rate = 0.2});
  return spec;
}

Tensor random_images(const Context& ctx, std::int64_t count) {
  const Shape shape{count, kSize, kSize, 3};
  return Tensor::from(ctx, shape, test::uniform_data<float>(static_cast<std::size_t>(shape.elements()), 11));
}

Context training_step(const Context& ctx, std::int64_t step) {
  return ctx.for_training(7, Tensor::from(ctx, {}, std::vector<std::int64_t>{step}));
}

// The loss, the gradients and all numbers of the model, step by step.
std::vector<std::vector<float>> train(bool recomputes, int frozen, bool batch_statistics) {
  const Context ctx = Context(Device::cpu(2)).with_recomputation(recomputes);
  Model model(ctx, small_spec(), 1);
  model.freeze_first(frozen);
  set_batch_statistics(model, batch_statistics);
  std::vector<AdamParameter> parameters;
  for (const Parameter* parameter : model.trainable_parameters()) {
    parameters.push_back({.value = parameter->value});
  }
  Adam adam(ctx, parameters, {.weight_decay = 0.01});
  const Tensor images = random_images(ctx, 3);
  const auto labels = Tensor::from(ctx, {3}, std::vector<std::int32_t>{4, 0, 2});
  std::vector<std::vector<float>> numbers;
  const auto note = [&](const Tensor& tensor) { numbers.push_back(tensor.to_vector<float>(ctx)); };
  for (std::int64_t step = 0; step < 3; ++step) {
    Tape tape;
    for (const AdamParameter& parameter : parameters) tape.watch(parameter.value);
    const Context training = training_step(ctx, step).with_recorder(&tape);
    const Tensor loss =
        ops::mean(training, ops::sparse_cross_entropy(training, model.logits(training, images), labels));
    note(loss);
    const Gradients gradients = tape.backward(ctx, loss);
    for (const AdamParameter& parameter : parameters) note(gradients.of(parameter.value));
    adam.step(ctx, gradients, 0.01);
    for (const Layer* layer : model.layers()) {
      for (const Parameter& parameter : layer->parameters()) note(parameter.value);
    }
  }
  return numbers;
}

// Everything; from inside of a block on, above frozen blocks; the last block's last normalisation; the head.
TEST(Recompute, TrainingHasTheSameBits) {
  for (const bool batch_statistics : {true, false}) {
    for (const int frozen : {0, 100, 150, 154}) {
      SCOPED_TRACE(testing::Message() << "batch statistics " << batch_statistics << ", frozen " << frozen);
      const auto kept = train(false, frozen, batch_statistics), again = train(true, frozen, batch_statistics);
      ASSERT_EQ(again.size(), kept.size());
      for (std::size_t i = 0; i < kept.size(); ++i) {
        ASSERT_TRUE(test::same_bits(again[i], kept[i])) << "tensor " << i;
      }
    }
  }
}

TEST(Recompute, TrainingTakesLessMemory) {
  struct Bytes {
    double kept, peak;
  };
  const auto bytes_of_a_step = [](bool recomputes) -> Bytes {
    const Context ctx = Context(Device::cpu(1)).with_recomputation(recomputes);
    const Model model(ctx, small_spec(), 1);
    const Tensor images = random_images(ctx, 24);
    const Allocator& allocator = ctx.device()->allocator();
    const std::size_t before = allocator.statistics().bytes_in_use;
    Tape tape;
    for (const Parameter* parameter : model.trainable_parameters()) tape.watch(parameter->value);
    const Context training = training_step(ctx, 0).with_recorder(&tape);
    const Tensor loss = ops::sum(training, model.logits(training, images));
    const std::size_t kept = allocator.statistics().bytes_in_use - before;
    tape.backward(ctx, loss);
    return {static_cast<double>(kept),
            static_cast<double>(allocator.statistics().peak_bytes_in_use - before)};
  };
  const Bytes whole = bytes_of_a_step(false), again = bytes_of_a_step(true);
  EXPECT_LT(again.kept, 0.25 * whole.kept);
  EXPECT_LT(again.peak, 0.85 * whole.peak);
}

TEST(Recompute, InnerTensorsCanBeWatched) {
  const Context ctx(Device::cpu(1));
  const Model model(ctx, small_spec(), 1);
  const Tensor images = random_images(ctx, 2);
  const auto gradients_of = [&](const Context& run) {
    Tape tape;
    std::vector<Tensor> watched;
    const Context recorded = run.with_recorder(&tape);
    const Tensor logits = model.logits(recorded, images, [&](const std::string&, const Tensor& output) {
      tape.watch(output);
      watched.push_back(output);
    });
    const Gradients gradients =
        tape.backward(ctx, ops::sum(recorded, ops::multiply(recorded, logits, logits)));
    std::vector<std::vector<float>> values;
    for (const Tensor& tensor : watched) values.push_back(gradients.of(tensor).to_vector<float>(ctx));
    return values;
  };
  const auto expected = gradients_of(ctx);
  EXPECT_EQ(expected.size(), 19u);
  EXPECT_EQ(gradients_of(ctx.with_recomputation(true)), expected);
}

TEST(Recompute, PlansAreTracedWithoutIt) {
  const Context ctx(Device::cpu(1));
  const Model model(ctx, small_spec(), 1);
  const auto operations = [&](const Context& run) {
    const TensorSpec images{{1, kSize, kSize, 3}, DType::f32};
    const Graph graph = trace(run, {&images, 1}, [&](const Context& tracing, std::span<const Tensor> in) {
      return std::vector{model.logits(tracing, in[0])};
    });
    std::vector<std::string> names;
    for (const Node& node : graph.nodes()) names.emplace_back(node.op->name());
    return names;
  };
  EXPECT_THAT(operations(ctx), testing::Contains("depthwise_conv2d").Times(17));
  EXPECT_EQ(operations(ctx.with_recomputation(true)), operations(ctx));
}

}  // namespace
}  // namespace pila::recompute_test
