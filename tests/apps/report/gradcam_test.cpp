#include "apps/report/gradcam.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila {
namespace {

ModelSpec small_spec(std::vector<HeadLayerSpec> head) {
  ModelSpec spec;
  spec.width = 0.35;
  spec.input_height = 96;
  spec.input_width = 64;  // not square, so that rows are not taken for columns
  spec.head = std::move(head);
  return spec;
}

// Pooling, dropout, a hidden layer and five classes.
std::vector<HeadLayerSpec> deep_head() {
  auto head = imagenet_head(5);
  HeadLayerSpec dropout, hidden;
  dropout.type = "Dropout";
  dropout.name = "dropout";
  dropout.rate = 0.2;
  hidden.type = "Dense";
  hidden.name = "hidden";
  hidden.units = 7;
  hidden.activation = "relu";
  head.insert(head.begin() + 1, {dropout, hidden});
  return head;
}

class GradCam : public testing::Test {
 protected:
  Tensor images(std::int64_t count) const {
    const Shape shape = {count, 96, 64, 3};
    return Tensor::from(ctx_, shape,
                        test::uniform_data<float>(static_cast<std::size_t>(shape.elements()), 3));
  }
  const Context ctx_{Device::cpu(2)};
};

TEST_F(GradCam, TapeAndKernelAgree) {
  auto head = imagenet_head(5);
  head.insert(head.begin() + 1, deep_head()[1]);  // dropout does nothing here
  const Model model(ctx_, small_spec(head), 4);
  ASSERT_TRUE(has_pooled_class_map(model));
  const std::vector<std::int32_t> classes = {4, 0, 2};
  const auto by_tape = grad_cam(ctx_, model, images(3), classes);
  const auto by_kernel = pooled_class_map(ctx_, model, images(3), classes);
  ASSERT_EQ(by_tape.size(), 3u);
  for (std::size_t i = 0; i < classes.size(); ++i) {
    EXPECT_EQ(by_tape[i].height, 3);
    EXPECT_EQ(by_tape[i].width, 2);
    EXPECT_EQ(*std::max_element(by_kernel[i].values.begin(), by_kernel[i].values.end()), 1);
    // Both sum 1280 products of float32 values; the tape's gradients are rounded once more.
    EXPECT_TRUE(test::close_each(by_tape[i].values, by_kernel[i].values, 1e-5)) << "image " << i;
  }
  EXPECT_FALSE(
      test::close_each(by_tape[0].values, grad_cam(ctx_, model, images(3), {{0, 0, 0}})[0].values, 0.1))
      << "another class looks elsewhere";
}

// The definition, with the gradient measured: how the logit moves with each channel's activations all
// together is the sum of the gradient over space.
TEST_F(GradCam, WeighsChannelsByTheirGradient) {
  const Model model(ctx_, small_spec(deep_head()), 4);
  EXPECT_FALSE(has_pooled_class_map(model));
  EXPECT_THROW(pooled_class_map(ctx_, model, images(1), {{1}}), UsageError);
  const auto map = grad_cam(ctx_, model, images(1), {{3}})[0];

  // The head by hand, in double: features -> pooled -> relu(W1 x + b1) -> W2.
  const Tensor features = model.features(ctx_, images(1));
  const auto values = features.to_vector<float>(ctx_);
  const auto of = [&](const char* layer, std::size_t i) {
    return model.find_layer(layer)->parameters()[i].value.to_vector<float>(ctx_);
  };
  const auto w1 = of("hidden", 0), b1 = of("hidden", 1), w2 = of("predictions", 0);
  const std::size_t channels = 1280, places = values.size() / channels;
  std::vector<double> pooled(channels), weights(channels);
  for (std::size_t i = 0; i < values.size(); ++i)
    pooled[i % channels] += values[i] / static_cast<double>(places);
  for (std::size_t u = 0; u < 7; ++u) {
    double sum = b1[u];
    for (std::size_t c = 0; c < channels; ++c) sum += pooled[c] * w1[c * 7 + u];
    for (std::size_t c = 0; c < channels && sum > 0; ++c) weights[c] += w1[c * 7 + u] * w2[u * 5 + 3];
  }
  std::vector<double> expected(places);
  for (std::size_t i = 0; i < values.size(); ++i) expected[i / channels] += values[i] * weights[i % channels];
  for (double& value : expected) value = std::max(value, 0.0);
  const double largest = *std::max_element(expected.begin(), expected.end());
  ASSERT_GT(largest, 0) << "the seed gives a map that says nothing";
  for (double& value : expected) value /= largest;
  EXPECT_TRUE(test::close_each(map.values, expected, 1e-5));
}

TEST_F(GradCam, LooksAtAnyLayer) {
  const Model model(ctx_, small_spec(deep_head()), 4);
  const std::vector<std::pair<std::string, std::int64_t>> layers = {
      {"Conv1_relu", 48}, {"block_2_add", 24}, {"block_5_add", 12}, {"out_relu", 3}};
  for (const auto& [layer, height] : layers) {
    const auto maps = grad_cam(ctx_, model, images(2), {{0, 3}}, layer);
    ASSERT_EQ(maps.size(), 2u);
    for (const HeatMap& map : maps) {
      EXPECT_EQ(map.height, height) << layer;
      EXPECT_EQ(map.width, height * 2 / 3) << layer;
      EXPECT_EQ(map.values.size(), static_cast<std::size_t>(map.height * map.width));
      EXPECT_GE(*std::min_element(map.values.begin(), map.values.end()), 0) << layer;
      EXPECT_LE(*std::max_element(map.values.begin(), map.values.end()), 1) << layer;
    }
    EXPECT_EQ(maps[1].values, grad_cam(ctx_, model, images(2), {{1, 3}}, layer)[1].values)
        << layer << ": another image's class changes nothing";
  }
}

TEST_F(GradCam, RefusesWhatDoesNotFit) {
  const Model model(ctx_, small_spec(deep_head()), 4);
  EXPECT_THROW(grad_cam(ctx_, model, images(1), {{0}}, "block_99_add"), UsageError);
  EXPECT_THROW(grad_cam(ctx_, model, images(2), {{0}}), ShapeError);
  EXPECT_THROW(grad_cam(ctx_, model, images(1), {{5}}), ShapeError);
  EXPECT_THROW(grad_cam(ctx_, model, images(1), {{-1}}), ShapeError);
  const Model headless(ctx_, small_spec({}), 4);
  EXPECT_THROW(grad_cam(ctx_, headless, images(1), {{0}}), ShapeError);
}

}  // namespace
}  // namespace pila
