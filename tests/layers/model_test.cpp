// Heads, initial weights, and what training mode does to a model.
#include "layers/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "layers/normalization.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila::model_test {
namespace {

constexpr std::int64_t kSize = 32;

const Context& context() {
  static const Context ctx(Device::cpu(1));
  return ctx;
}

HeadLayerSpec pooling() { return {.type = "GlobalAveragePooling2D", .name = "pool"}; }
HeadLayerSpec dense(const std::string& name, std::int64_t units, const std::string& activation,
                    bool bias = true) {
  return {.type = "Dense", .name = name, .units = units, .bias = bias, .activation = activation};
}
HeadLayerSpec dropout(double rate) { return {.type = "Dropout", .name = "dropout", .rate = rate}; }

ModelSpec spec_with(std::vector<HeadLayerSpec> head) {
  ModelSpec spec;
  spec.width = 0.35;
  spec.input_height = spec.input_width = kSize;
  spec.head = std::move(head);
  return spec;
}

Tensor random_images(std::int64_t batch) {
  const Shape shape{batch, kSize, kSize, 3};
  return Tensor::from(context(), shape,
                      test::uniform_data<float>(static_cast<std::size_t>(shape.elements()), 1));
}

Context training(std::int64_t step = 0) {
  return context().for_training(7, Tensor::from(context(), {}, std::vector<std::int64_t>{step}));
}

std::vector<float> values(const Tensor& tensor) { return tensor.to_vector<float>(context()); }

const Tensor& parameter(const Model& model, const std::string& layer, std::size_t index) {
  return model.find_layer(layer)->parameters()[index].value;
}

TEST(Model, HeadOfTwoDenseLayersMatchesItsParts) {
  const Model model(
      context(), spec_with({pooling(), dense("hidden", 10, "relu"), dense("scores", 3, "softmax", false)}));
  EXPECT_EQ(model.classes(), 3);
  EXPECT_EQ(model.layers().size(), 157u);
  EXPECT_EQ(model.find_layer("scores")->parameters().size(), 1u);
  const Tensor images = random_images(2);
  const Tensor pooled = ops::global_average_pool(context(), model.features(context(), images));
  const Tensor hidden = ops::activation(
      context(), ops::dense(context(), pooled, parameter(model, "hidden", 0), parameter(model, "hidden", 1)),
      Activation::relu);
  const Tensor scores = ops::dense(context(), hidden, parameter(model, "scores", 0), {});
  EXPECT_EQ(values(model.logits(context(), images)), values(scores));
  const std::vector<float> probabilities = values(model.probabilities(context(), images));
  EXPECT_EQ(probabilities, values(ops::softmax(context(), scores)));
  EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 2.0, 1e-6);
}

TEST(Model, SoftmaxInsideTheHeadIsApplied) {
  const Model model(context(),
                    spec_with({pooling(), dense("inner", 4, "softmax"), dense("scores", 2, "linear")}));
  const Tensor images = random_images(1);
  const Tensor pooled = ops::global_average_pool(context(), model.features(context(), images));
  const Tensor inner = ops::softmax(
      context(), ops::dense(context(), pooled, parameter(model, "inner", 0), parameter(model, "inner", 1)));
  const Tensor scores =
      ops::dense(context(), inner, parameter(model, "scores", 0), parameter(model, "scores", 1));
  EXPECT_EQ(values(model.logits(context(), images)), values(scores));
}

TEST(Model, WithoutDenseLayersThereAreNoProbabilities) {
  const Tensor images = random_images(1);
  const Model bare(context(), spec_with({}));
  EXPECT_EQ(bare.classes(), 0);
  EXPECT_EQ(bare.logits(context(), images).shape(), (Shape{1, 1, 1, 1280}));
  EXPECT_THROW(bare.probabilities(context(), images), UsageError);
  const Model pooled(context(), spec_with({pooling()}));
  EXPECT_EQ(pooled.logits(context(), images).shape(), (Shape{1, 1280}));
  EXPECT_THROW(pooled.probabilities(context(), images), UsageError);
}

TEST(Model, RefusesHeadsThatMakeNoSense) {
  const auto build = [](std::vector<HeadLayerSpec> head) { Model(context(), spec_with(std::move(head))); };
  EXPECT_THROW(build({dense("scores", 3, "softmax")}), ShapeError);  // not pooled
  EXPECT_THROW(build({pooling(), dense("scores", 0, "softmax")}), ShapeError);
  EXPECT_THROW(build({pooling(), dense("scores", 3, "tanh")}), ShapeError);
  EXPECT_THROW(build({pooling(), dense("scores", 3, "softmax"), dropout(0.5)}), ShapeError);
  EXPECT_THROW(build({pooling(), dropout(1.0), dense("scores", 3, "softmax")}), ShapeError);
  EXPECT_THROW(build({pooling(), dropout(std::nan("")), dense("scores", 3, "softmax")}), ShapeError);
  EXPECT_THROW(build({pooling(), pooling(), dense("scores", 3, "softmax")}), ShapeError);
  EXPECT_THROW(build({pooling(), dense("Conv1", 3, "softmax")}), ShapeError);  // a name twice
  EXPECT_THROW(build({{.type = "Flatten", .name = "flatten"}}), ShapeError);
}

TEST(Model, DropoutDropsInTrainingOnly) {
  Model model(context(), spec_with({pooling(), dropout(0.5), dense("scores", 3, "softmax")}));
  model.freeze_first(154);
  const Tensor images = random_images(2);
  const std::vector<float> kept = values(model.logits(context(), images));
  EXPECT_EQ(values(model.logits(context(), images)), kept);
  const std::vector<float> dropped = values(model.logits(training(0), images));
  EXPECT_NE(dropped, kept);
  EXPECT_EQ(values(model.logits(training(0), images)), dropped);
  EXPECT_NE(values(model.logits(training(1), images)), dropped);
}

TEST(Model, InitialWeightsAreKerasGlorotUniformOfTheSeed) {
  const ModelSpec spec = spec_with(imagenet_head(7));
  const Model model(context(), spec, 1), same(context(), spec, 1), other(context(), spec, 2);
  EXPECT_EQ(values(parameter(model, "Conv_1", 0)), values(parameter(same, "Conv_1", 0)));
  EXPECT_NE(values(parameter(model, "Conv_1", 0)), values(parameter(other, "Conv_1", 0)));
  EXPECT_NE(values(parameter(model, "block_4_expand", 0)), values(parameter(model, "block_5_expand", 0)));

  const auto largest = [&](const char* layer) {
    float magnitude = 0;
    for (const float value : values(parameter(model, layer, 0)))
      magnitude = std::max(magnitude, std::abs(value));
    return magnitude;
  };
  // The largest of thousands of draws lies just below the limit sqrt(6 / (fan in + fan out)).
  EXPECT_LE(largest("Conv_1"), std::sqrt(6.0 / (112 + 1280)));
  EXPECT_GT(largest("Conv_1"), std::sqrt(6.0 / (112 + 1280)) * 0.999);
  EXPECT_LE(largest("Conv1"), std::sqrt(6.0 / (9 * (3 + 16))));
  EXPECT_GT(largest("Conv1"), std::sqrt(6.0 / (9 * (3 + 16))) * 0.97);
  // Keras counts the fans of a depthwise kernel [3, 3, c, 1] as 9 c and 9.
  EXPECT_LE(largest("block_16_depthwise"), std::sqrt(6.0 / (9 * (336 + 1))));
  EXPECT_GT(largest("block_16_depthwise"), std::sqrt(6.0 / (9 * (336 + 1))) * 0.99);
  for (const float value : values(parameter(model, "predictions", 1))) EXPECT_EQ(value, 0);
  for (const float value : values(parameter(model, "bn_Conv1", 0))) EXPECT_EQ(value, 1);
  for (const float value : values(parameter(model, "bn_Conv1", 3))) EXPECT_EQ(value, 1);
}

TEST(Model, DoubleAndFloatModelsHaveTheSameWeights) {
  ModelSpec spec = spec_with(imagenet_head(7));
  const Model narrow(context(), spec, 5);
  const Context reference(Device::reference());
  spec.type = DType::f64;
  const Model wide(reference, spec, 5);
  const std::vector<double> exact = parameter(wide, "predictions", 0).to_vector<double>(reference);
  const std::vector<float> rounded = values(parameter(narrow, "predictions", 0));
  EXPECT_EQ(std::vector<float>(exact.begin(), exact.end()), rounded);
}

TEST(Model, TrainableNormalizationTakesBatchStatisticsAndMovesItsOwn) {
  Model model(context(), spec_with({}));
  const Tensor images = random_images(4);
  const std::vector<float> inferred = values(model.features(context(), images));
  EXPECT_EQ(values(parameter(model, "bn_Conv1", 2)), std::vector<float>(16, 0));

  EXPECT_NE(values(model.features(training(), images)), inferred);
  const Tensor conv = ops::conv2d(context(), images, parameter(model, "Conv1", 0), {},
                                  {.stride = 2, .padding = ops::Padding::same});
  const ops::BatchNormResult batch = ops::batch_norm_training(
      context(), conv, parameter(model, "bn_Conv1", 0), parameter(model, "bn_Conv1", 1), 1e-3);
  std::vector<float> mean = values(batch.mean), variance = values(batch.variance);
  for (float& value : mean) value *= 0.001f;                      // Keras: momentum 0.999, from 0
  for (float& value : variance) value = 0.999f + value * 0.001f;  // from 1
  EXPECT_TRUE(test::close_by_norm(values(parameter(model, "bn_Conv1", 2)), mean, 1e-4));
  EXPECT_TRUE(test::close_by_norm(values(parameter(model, "bn_Conv1", 3)), variance, 1e-6));
}

TEST(Model, FrozenNormalizationRunsOnMovingStatisticsInTraining) {
  Model model(context(), spec_with({}));
  model.freeze_first(154);
  const Tensor images = random_images(2);
  const std::vector<float> inferred = values(model.features(context(), images));
  EXPECT_EQ(values(model.features(training(), images)), inferred);
  EXPECT_EQ(values(parameter(model, "bn_Conv1", 2)), std::vector<float>(16, 0));
}

TEST(Model, NormalizationHasTwoSwitches) {
  Model model(context(), spec_with({}));
  auto* norm = dynamic_cast<BatchNormalization*>(model.find_layer("bn_Conv1"));
  ASSERT_NE(norm, nullptr);
  EXPECT_TRUE(norm->uses_batch_statistics());
  norm->set_batch_statistics(false);  // gamma and beta still learn
  EXPECT_TRUE(norm->trainable());
  model.features(training(), random_images(2));
  EXPECT_EQ(values(parameter(model, "bn_Conv1", 2)), std::vector<float>(16, 0));
  norm->set_trainable(false);
  norm->set_batch_statistics(true);  // gamma and beta don't learn, statistics move
  model.features(training(), random_images(2));
  EXPECT_NE(values(parameter(model, "bn_Conv1", 2)), std::vector<float>(16, 0));
  norm->set_trainable(true);
  EXPECT_TRUE(norm->uses_batch_statistics());
  norm->set_trainable(false);
  EXPECT_FALSE(norm->uses_batch_statistics());
}

TEST(Model, FrozenLayersGetNoGradient) {
  Model model(context(), spec_with({pooling(), dense("scores", 3, "softmax")}));
  model.freeze_first(154);
  Tape tape;
  for (const Parameter* learning : model.trainable_parameters()) tape.watch(learning->value);
  const Tensor logits = model.logits(training().with_recorder(&tape), random_images(2));
  EXPECT_LE(tape.size(), 2u);  // the product, and a bias where it is an operation of its own
  const Gradients gradients = tape.backward(context(), ops::sum(context().with_recorder(&tape), logits));
  EXPECT_TRUE(gradients.of(parameter(model, "scores", 0)).defined());
  EXPECT_FALSE(gradients.of(parameter(model, "Conv_1", 0)).defined());
}

}  // namespace
}  // namespace pila::model_test
