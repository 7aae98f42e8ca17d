// What learns, how fast, and what batch normalisation goes by.
#include "layers/fine_tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "layers/normalization.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila::fine_tuning_test {
namespace {

constexpr std::int64_t kSize = 32;

const Context& context() {
  static const Context ctx(Device::cpu(1));
  return ctx;
}

ModelSpec small_spec() {
  ModelSpec spec;
  spec.width = 0.35;
  spec.input_height = spec.input_width = kSize;
  spec.head = imagenet_head(3);
  return spec;
}

std::int64_t learning_numbers(const Model& model) {
  std::int64_t count = 0;
  for (const Parameter* parameter : model.trainable_parameters()) {
    count += parameter->value.shape().elements();
  }
  return count;
}

std::vector<std::string> trainable_layers(const Model& model) {
  std::vector<std::string> names;
  for (const Layer* layer : model.layers()) {
    if (layer->trainable() && !layer->parameters().empty()) names.push_back(layer->name());
  }
  return names;
}

TEST(Freezing, CountsAsKerasAndAsBatSort) {
  ModelSpec spec;
  spec.input_height = spec.input_width = kSize;
  Model model(context(), spec);
  EXPECT_EQ(model.parameter_count(), 2'257'984);
  model.freeze_first(100);
  EXPECT_EQ(learning_numbers(model), 1'861'440);
  EXPECT_EQ(trainable_layers(model).front(), "block_11_depthwise");

  const std::int64_t conv = 320 * 1280, norm = 2 * 1280;
  const std::int64_t project_norm = 2 * 320, project = 960 * 320;
  const std::int64_t expected[] = {0, norm, conv + norm, conv + norm + project_norm,
                                   conv + norm + project_norm + project};
  for (int k = 0; k <= 4; ++k) {
    train_last(model, k);
    EXPECT_EQ(learning_numbers(model), expected[k]) << k;
  }
  EXPECT_THAT(trainable_layers(model),
              testing::ElementsAre("block_16_project", "block_16_project_BN", "Conv_1", "Conv_1_bn"));
  train_last(model, 1000);
  EXPECT_EQ(learning_numbers(model), 2'223'872);
  EXPECT_THROW(train_last(model, -1), UsageError);
}

TEST(Freezing, LeavesTheHeadTrainable) {
  Model model(context(), small_spec());
  train_last(model, 0);
  EXPECT_THAT(trainable_layers(model), testing::ElementsAre("predictions"));
  EXPECT_EQ(model.changing_parameters().size(), 2u);
}

TEST(Freezing, ChangingParametersAreWhatAStepMayTouch) {
  Model model(context(), small_spec());
  train_last(model, 2);
  EXPECT_EQ(model.changing_parameters().size(), 2u + 1u + 4u);  // of predictions, Conv_1, Conv_1_bn
  set_batch_statistics(model, false);
  EXPECT_EQ(model.changing_parameters().size(), 2u + 1u + 2u);
}

TEST(LearningParameters, DecayTheRateByBlock) {
  const Model model(context(), small_spec());
  const auto parameters = learning_parameters(model, {.layer_decay = 0.5});
  const auto trainable = model.trainable_parameters();
  ASSERT_EQ(parameters.size(), trainable.size());
  std::map<std::uint64_t, double> factors;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_EQ(parameters[i].value.id(), trainable[i]->value.id());
    EXPECT_EQ(parameters[i].weight_decay, -1);
    factors[parameters[i].value.id()] = parameters[i].rate_factor;
  }
  const auto factor = [&](const char* layer) {
    return factors.at(model.find_layer(layer)->parameters()[0].value.id());
  };
  EXPECT_EQ(factor("predictions"), 1);
  EXPECT_EQ(factor("Conv_1"), 0.5);
  EXPECT_EQ(factor("Conv_1_bn"), 0.5);
  EXPECT_EQ(factor("block_16_project_BN"), 0.25);
  EXPECT_EQ(factor("block_16_expand"), 0.25);
  EXPECT_EQ(factor("block_15_project"), 0.125);
  EXPECT_EQ(factor("expanded_conv_depthwise"), std::pow(0.5, 18));
  EXPECT_EQ(factor("Conv1"), std::pow(0.5, 19));
  EXPECT_THROW(learning_parameters(model, {.layer_decay = 0}), UsageError);
  EXPECT_THROW(learning_parameters(model, {.layer_decay = 1.5}), UsageError);
}

TEST(LearningParameters, ExcludeBatchNormAndBiasFromDecay) {
  const Model model(context(), small_spec());
  const auto parameters = learning_parameters(model, {.decay_kernels_only = true});
  const auto trainable = model.trainable_parameters();
  std::map<std::string, int> decayed, excluded;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    ++(parameters[i].weight_decay == 0 ? excluded : decayed)[trainable[i]->name];
  }
  EXPECT_EQ(decayed, (std::map<std::string, int>{{"kernel", 36}, {"depthwise_kernel", 17}}));
  EXPECT_EQ(excluded, (std::map<std::string, int>{{"bias", 1}, {"beta", 52}, {"gamma", 52}}));
}

Tensor images(std::int64_t count, std::uint64_t seed) {
  const Shape shape{count, kSize, kSize, 3};
  return Tensor::from(context(), shape,
                      test::uniform_data<float>(static_cast<std::size_t>(shape.elements()), seed));
}

// Hands out the batches one after the other.
std::function<Tensor()> feed(std::vector<Tensor> batches) {
  return [batches = std::move(batches), next = std::size_t{0}]() mutable {
    return next < batches.size() ? batches[next++] : Tensor();
  };
}

std::vector<float> statistic(const Model& model, const std::string& layer, std::size_t index) {
  return model.find_layer(layer)->parameters()[index].value.to_vector<float>(context());
}

std::vector<std::vector<float>> all_statistics(const Model& model) {
  std::vector<std::vector<float>> result;
  for (const Layer* layer : model.layers()) {
    for (const Parameter& parameter : layer->parameters()) {
      if (!parameter.learns) result.push_back(parameter.value.to_vector<float>(context()));
    }
  }
  return result;
}

// Mean and variance of bn_Conv1's input in double, over the batches end to end.
void expect_first_statistics(const Model& model, const std::vector<Tensor>& batches) {
  std::vector<std::vector<double>> by_channel(16);
  for (const Tensor& batch : batches) {
    const Tensor conv = ops::conv2d(context(), batch, model.find_layer("Conv1")->parameters()[0].value, {},
                                    {.stride = 2, .padding = ops::Padding::same});
    const std::vector<float> values = conv.to_vector<float>(context());
    for (std::size_t i = 0; i < values.size(); ++i) by_channel[i % 16].push_back(values[i]);
  }
  std::vector<double> means, variances;
  for (const auto& values : by_channel) {
    double mean = 0, variance = 0;
    for (const double value : values) mean += value / static_cast<double>(values.size());
    for (const double value : values) {
      variance += (value - mean) * (value - mean) / static_cast<double>(values.size());
    }
    means.push_back(mean);
    variances.push_back(variance);
  }
  // Each batch's moments come in float32.
  EXPECT_TRUE(test::close_by_norm(statistic(model, "bn_Conv1", 2), means, 1e-5));
  EXPECT_TRUE(test::close_by_norm(statistic(model, "bn_Conv1", 3), variances, 1e-6));
}

TEST(Recalibration, GivesTheMomentsOfAllImages) {
  Model model(context(), small_spec());
  // The third batch lies elsewhere, so that the batches' means differ: their variances' mean is too small.
  const std::vector<Tensor> batches = {images(3, 1), images(5, 2),
                                       ops::affine(context(), images(2, 3), 1, 2)};
  EXPECT_EQ(recalibrate_batch_norm(context(), model, feed(batches)), 10);
  expect_first_statistics(model, batches);
  const auto first = all_statistics(model);
  EXPECT_EQ(recalibrate_batch_norm(context(), model, feed(batches)), 10);
  EXPECT_EQ(all_statistics(model), first) << "statistics from before have no say";
}

// In float64, since 52 normalisations of random weights blow rounding up.
TEST(Recalibration, OfOneBatchIsWhatTrainingNormalisesWith) {
  const Context ctx(Device::reference());
  ModelSpec spec = small_spec();
  spec.type = DType::f64;
  Model model(ctx, spec);
  const Tensor batch =
      Tensor::from(ctx, {4, kSize, kSize, 3}, test::uniform_data<double>(4 * kSize * kSize * 3, 1));
  const Context training = ctx.for_training(1, Tensor::from(ctx, {}, std::vector<std::int64_t>{0}));
  const std::vector<double> expected = model.features(training, batch).to_vector<double>(ctx);
  recalibrate_batch_norm(ctx, model, feed({batch}));
  const std::vector<double> actual = model.features(ctx, batch).to_vector<double>(ctx);
  EXPECT_TRUE(test::close_by_norm(actual, expected, 1e-9));
}

TEST(Recalibration, LeavesFrozenLayersAlone) {
  Model model(context(), small_spec());
  train_last(model, 2);
  set_batch_statistics(model, false);
  const auto before = all_statistics(model);
  recalibrate_batch_norm(context(), model, feed({images(4, 1), images(4, 2)}));
  const auto after = all_statistics(model);
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i + 2 < after.size(); ++i) EXPECT_EQ(after[i], before[i]) << i;
  EXPECT_NE(after.back(), before.back());
  const auto* norm = dynamic_cast<const BatchNormalization*>(model.find_layer("Conv_1_bn"));
  EXPECT_FALSE(norm->uses_batch_statistics()) << "the mode of training stays what it was";
}

TEST(Recalibration, IsUndoneByWhateverStopsIt) {
  Model model(context(), small_spec());
  recalibrate_batch_norm(context(), model, feed({images(4, 1)}));
  const auto before = all_statistics(model);
  EXPECT_THROW(recalibrate_batch_norm(context(), model, feed({})), UsageError);
  EXPECT_EQ(all_statistics(model), before);
  int given = 0;
  EXPECT_THROW(recalibrate_batch_norm(context(), model,
                                      [&] {
                                        if (++given > 2) throw FileError("a picture that is gone");
                                        return images(2, 7);
                                      }),
               FileError);
  EXPECT_EQ(all_statistics(model), before);
  const Tensor batch = images(2, 3);
  model.features(context(), batch);
  EXPECT_EQ(all_statistics(model), before) << "nothing is measured any more";
}

}  // namespace
}  // namespace pila::fine_tuning_test
