// MobileNetV2's list of layers, parameter counts and switches against Keras'.
#include "layers/models/mobilenet_v2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <sstream>

#include "engine/core/error.h"
#include "layers/model.h"
#include "layers/models/networks.h"

namespace pila::mobilenet_v2_test {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const Context& context() {
  static const Context ctx(Device::cpu(1));
  return ctx;
}

ModelSpec spec_of(double width, std::int64_t size, std::vector<HeadLayerSpec> head = {}) {
  ModelSpec spec;
  spec.width = width;
  spec.input_height = spec.input_width = size;
  spec.head = std::move(head);
  return spec;
}

// "Conv1 Conv2D kernel[3,3,3,32]", as generate_golden.py writes Keras' layers.
std::string description(const Layer& layer) {
  std::ostringstream text;
  text << layer.name() << " " << layer.type();
  for (const Parameter& parameter : layer.parameters()) {
    text << " " << parameter.name;
    const char* separator = "[";
    for (const std::int64_t extent : parameter.value.shape().extents()) {
      text << separator << extent;
      separator = ",";
    }
    text << "]";
  }
  return text.str();
}

std::vector<std::string> keras_layers() {
  std::ifstream in(PILA_SOURCE_DIR "/tests/parity/golden/mobilenet_v2_layers.txt");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::int64_t trainable_count(const Model& model) {
  std::int64_t count = 0;
  for (const Parameter* parameter : model.trainable_parameters())
    count += parameter->value.shape().elements();
  return count;
}

TEST(MobileNetV2, ListsKerasLayersInKerasOrder) {
  const Model model(context(), spec_of(1.0, 224, imagenet_head()));
  std::vector<std::string> lines;
  for (const Layer* layer : model.layers()) lines.push_back(description(*layer));
  ASSERT_EQ(lines.size(), 156u);
  EXPECT_EQ(lines, keras_layers());
  EXPECT_EQ(model.backbone().layers().size(), 154u);
}

TEST(MobileNetV2, CountsParametersAsKeras) {
  EXPECT_EQ(Model(context(), spec_of(1.0, 224)).parameter_count(), 2257984);
  EXPECT_EQ(Model(context(), spec_of(1.0, 224, imagenet_head())).parameter_count(), 3538984);
  EXPECT_EQ(Model(context(), spec_of(0.35, 96)).parameter_count(), 410208);
  // keras.applications.MobileNetV2(alpha=..., include_top=False).count_params()
  EXPECT_EQ(Model(context(), spec_of(0.5, 96)).parameter_count(), 706224);
  EXPECT_EQ(Model(context(), spec_of(0.75, 96)).parameter_count(), 1382064);
  EXPECT_EQ(Model(context(), spec_of(1.3, 96)).parameter_count(), 3766048);
  EXPECT_EQ(Model(context(), spec_of(1.4, 96)).parameter_count(), 4363712);
}

TEST(MobileNetV2, FreezesTheFirstLayersByKerasCount) {
  Model model(context(), spec_of(1.0, 224));
  EXPECT_EQ(trainable_count(model), 2257984 - 34112);  // all but moving statistics
  model.freeze_first(100);
  EXPECT_EQ(trainable_count(model), 1861440);
  EXPECT_FALSE(model.layers()[99]->trainable());
  EXPECT_EQ(model.layers()[100]->name(), "block_11_expand_relu");
  EXPECT_TRUE(model.layers()[100]->trainable());
  model.freeze_first(1000);
  EXPECT_EQ(trainable_count(model), 0);
  model.freeze_first(0);
  EXPECT_EQ(trainable_count(model), 2257984 - 34112);
  EXPECT_THROW(model.freeze_first(-1), UsageError);
}

TEST(MobileNetV2, ShowsEveryBlockOnce) {
  const Model model(context(), spec_of(0.35, 45));  // odd at every stage: 45, 23, 12, 6, 3, 2
  std::vector<std::string> names, shapes;
  const Tensor images = Tensor::zeros(context(), {{2, 45, 45, 3}, DType::f32});
  const Tensor features =
      model.features(context(), images, [&](const std::string& name, const Tensor& output) {
        names.push_back(name);
        shapes.push_back(output.shape().to_string());
      });
  EXPECT_THAT(names, testing::ElementsAre("Conv1_relu", "expanded_conv_project_BN", "block_1_project_BN",
                                          "block_2_add", "block_3_project_BN", "block_4_add", "block_5_add",
                                          "block_6_project_BN", "block_7_add", "block_8_add", "block_9_add",
                                          "block_10_project_BN", "block_11_add", "block_12_add",
                                          "block_13_project_BN", "block_14_add", "block_15_add",
                                          "block_16_project_BN", "out_relu"));
  EXPECT_EQ(shapes.front(), "[2, 23, 23, 16]");
  EXPECT_EQ(shapes.back(), "[2, 2, 2, 1280]");
  EXPECT_EQ(features.shape(), (Shape{2, 2, 2, 1280}));
}

TEST(MobileNetV2, TakesNonSquareInputs) {
  ModelSpec spec = spec_of(0.35, 64);
  spec.input_width = 97;
  const Model model(context(), spec);
  const Tensor images = Tensor::zeros(context(), {{1, 64, 97, 3}, DType::f32});
  EXPECT_EQ(model.features(context(), images).shape(), (Shape{1, 2, 4, 1280}));
}

TEST(MobileNetV2, RefusesImagesOfAnotherSizeOrType) {
  const Model model(context(), spec_of(0.35, 96));
  const auto run = [&](const TensorSpec& images) {
    return [&model, images] { model.features(context(), Tensor::zeros(context(), images)); };
  };
  EXPECT_THAT(
      run({{1, 95, 96, 3}, DType::f32}),
      ThrowsMessage<ShapeError>(HasSubstr("expected images float32[n, 96, 96, 3], got float32[1, 95, 96")));
  EXPECT_THROW(run({{1, 96, 96, 4}, DType::f32})(), ShapeError);
  EXPECT_THROW(run({{96, 96, 3}, DType::f32})(), ShapeError);
  EXPECT_THROW(run({{1, 96, 96, 3}, DType::u8})(), ShapeError);
}

TEST(MobileNetV2, RefusesSpecsThatMakeNoNetwork) {
  const auto build = [](const ModelSpec& spec) { return [spec] { Model(context(), spec); }; };
  EXPECT_THAT(build(spec_of(1, 31)), ThrowsMessage<ShapeError>(HasSubstr("got 31 x 31")));
  EXPECT_THROW(build(spec_of(1, std::numeric_limits<std::int64_t>::max()))(), ShapeError);
  EXPECT_THROW(build(spec_of(0, 96))(), ShapeError);
  EXPECT_THROW(build(spec_of(-1, 96))(), ShapeError);
  EXPECT_THROW(build(spec_of(std::numeric_limits<double>::quiet_NaN(), 96))(), ShapeError);
  EXPECT_THROW(build(spec_of(1e300, 96))(), ShapeError);
  ModelSpec unknown = spec_of(1, 96);
  unknown.network = "mobilenet_v3";
  EXPECT_THAT(build(unknown), ThrowsMessage<ShapeError>(
                                  testing::AllOf(HasSubstr("mobilenet_v2"), HasSubstr("'mobilenet_v3'"))));
  ModelSpec bytes = spec_of(1, 96);
  bytes.type = DType::u8;
  EXPECT_THROW(build(bytes)(), ShapeError);
}

TEST(MobileNetV2, IsAmongTheKnownNetworks) {
  EXPECT_THAT(known_networks(), testing::Contains("mobilenet_v2"));
}

}  // namespace
}  // namespace pila::mobilenet_v2_test
