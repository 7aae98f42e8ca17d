// Whole models and plain weight files, from Keras' own hand and from the wild.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/compare.h"
#include "tests/support/shared_files.h"
#include "tests/weights/support.h"
#include "weights/container.h"
#include "weights/load_model.h"
#include "weights/load_weights.h"
#include "weights/model_config.h"
#include "weights/networks.h"

namespace pila::load_model_test {
namespace {

using test::file_error;
using test::fixture;
using test::TemporaryFolder;
using test::unpack;
using testing::HasSubstr;
using testing::IsEmpty;

const Context& context() {
  static const Context ctx(Device::cpu(1));
  return ctx;
}

// Every parameter against the pattern of its Keras name.
void expect_pattern(std::span<Layer* const> layers) {
  for (const Layer* layer : layers) {
    for (const Parameter& parameter : layer->parameters()) {
      const std::string weight = parameter.name == "depthwise_kernel" ? "kernel" : parameter.name;
      const std::vector<float> values = parameter.value.to_vector<float>(context());
      EXPECT_EQ(values, test::pattern(layer->name() + "/" + weight, values.size()))
          << layer->name() << "/" << weight;
    }
  }
}

struct Case {
  const char* file;
  bool whole;  // with its architecture
  bool named;
};

class KerasModel : public testing::TestWithParam<Case> {};

TEST_P(KerasModel, LoadsCompletely) {
  const TemporaryFolder folder;
  const std::string name = GetParam().file;
  const bool packed = name != "mobilenet_v2_035_96.keras";
  const LoadedModel loaded = load_model(context(), packed ? unpack(name, folder) : fixture(name));
  const ModelSpec& spec = loaded.model->spec();
  EXPECT_EQ(spec.network, "mobilenet_v2");
  EXPECT_EQ(spec.width, 0.35);
  EXPECT_EQ(loaded.model->classes(), 3);
  EXPECT_THAT(loaded.classes, IsEmpty());
  Preprocessing expected;
  if (GetParam().whole) {
    expected.height = expected.width = 96;
    const std::vector<HeadLayerSpec> head = {{"GlobalAveragePooling2D", "pool", 0, true, "linear", 0},
                                             {"Dropout", "drop", 0, true, "linear", 0.2},
                                             {"Dense", "classes", 3, true, "softmax", 0}};
    EXPECT_EQ(spec.head, head);
  }
  EXPECT_EQ(loaded.preprocessing, expected);
  EXPECT_EQ(loaded.warnings.size(), GetParam().named ? 0u : 1u) << testing::PrintToString(loaded.warnings);
  if (GetParam().named) {
    expect_pattern(loaded.model->layers());
    return;
  }
  EXPECT_THAT(loaded.warnings[0], HasSubstr("stores no layer names"));
  const Layer* dense = loaded.model->layers().back();  // the file cannot say that it is called "classes"
  EXPECT_EQ(dense->parameters()[0].value.to_vector<float>(context()),
            test::pattern("classes/kernel", 1280 * 3));
  expect_pattern(loaded.model->backbone().layers());
}

INSTANTIATE_TEST_SUITE_P(
    Fixtures, KerasModel,
    testing::Values(Case{"keras2_whole.h5", true, true}, Case{"keras2_unnamed.keras", true, false},
                    Case{"mobilenet_v2_035_96.keras", true, true}, Case{"nested_frozen.h5", true, true},
                    Case{"nested_first_100_frozen.h5", true, true}, Case{"arithmetic.h5", true, true},
                    Case{"flat.weights.h5", false, true}, Case{"flat_unnamed.weights.h5", false, false},
                    Case{"flat_legacy.h5", false, true}),
    [](const testing::TestParamInfo<Case>& test) {
      std::string name = test.param.file;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

// uint8 pixels that depend on their place, preprocessed.
Tensor test_image() {
  std::vector<float> pixels;
  for (int y = 0; y < 224; ++y) {
    for (int x = 0; x < 224; ++x) {
      for (int c = 0; c < 3; ++c) {
        pixels.push_back(static_cast<float>((y * 7 + x * 3 + c * 85) % 256) / 127.5f - 1);
      }
    }
  }
  return Tensor::from(context(), {1, 224, 224, 3}, pixels);
}

TEST(TeachableMachine, ExportLoadsAsAWholeModel) {
  const auto file = test::weights_file("teachable_machine_keras_model.h5");
  if (!file) GTEST_SKIP() << "shared weights absent";
  const LoadedModel loaded = load_model(context(), *file);
  const ModelSpec& spec = loaded.model->spec();
  EXPECT_EQ(spec.width, 0.35);
  const std::vector<HeadLayerSpec> head = {
      {"GlobalAveragePooling2D", "global_average_pooling2d_GlobalAveragePooling2D1", 0, true, "linear", 0},
      {"Dense", "dense_Dense1", 100, true, "relu", 0},
      {"Dense", "dense_Dense2", 4, false, "softmax", 0}};
  EXPECT_EQ(spec.head, head);
  EXPECT_EQ(loaded.preprocessing, Preprocessing{});
  EXPECT_THAT(loaded.warnings, IsEmpty());
  // From Keras' MobileNetV2 with the file's weights set layer by layer, and its head in NumPy. Float32
  // through 50 layers: 1e-4 of the largest logit.
  const std::vector<float> expected = {2.57755918f, -1.04566796f, -18.24206949f, 11.05202055f};
  const std::vector<float> logits = loaded.model->logits(context(), test_image()).to_vector<float>(context());
  EXPECT_TRUE(test::close_each(logits, expected, 2e-3));
}

TEST(PlainWeightFile, IsRecognisedByItsLayersAndShapes) {
  const auto file = test::weights_file("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5");
  const auto with_top = test::weights_file("mobilenet_v2_1.0_224_from_quantized.h5");
  if (!file || !with_top) GTEST_SKIP() << "shared weights absent";
  const LoadedModel small = load_model(context(), *file);
  EXPECT_EQ(small.model->spec().width, 0.35);
  EXPECT_EQ(small.model->parameter_count(), 410'208);
  EXPECT_THAT(small.model->spec().head, IsEmpty());
  EXPECT_THAT(small.warnings, IsEmpty()) << "Conv1_pad has no weights and is no left-over";
  const LoadedModel large = load_model(context(), *with_top);
  EXPECT_EQ(large.model->spec().width, 1.0);
  EXPECT_EQ(large.model->parameter_count(), 3'538'984);
  EXPECT_EQ(large.model->classes(), 1000);
}

// A MobileNetV2's weights as interpret() would give them, all ones.
WeightFile weights_of(const Model& model) {
  WeightFile file;
  file.file = "made.h5";
  for (const Layer* layer : model.layers()) {
    if (layer->parameters().empty()) continue;
    WeightLayer stored{layer->name(), layer->name(), "", {}};
    for (const Parameter& parameter : layer->parameters()) {
      const auto extents = parameter.value.shape().extents();
      const auto count = static_cast<std::size_t>(parameter.value.shape().elements());
      stored.weights.push_back(
          {parameter.name, {{extents.begin(), extents.end()}, std::vector<float>(count, 1.0f), ""}});
    }
    file.layers.push_back(std::move(stored));
  }
  return file;
}

ModelSpec small_spec(std::int64_t classes = 0) {
  ModelSpec spec;
  spec.width = 0.35;
  spec.input_height = spec.input_width = 32;
  if (classes > 0) spec.head = imagenet_head(classes);
  return spec;
}

TEST(Recognition, TellsAllPublishedWidthsApart) {
  for (const double width : {0.35, 0.5, 0.75, 1.0, 1.3, 1.4}) {
    ModelSpec spec = small_spec(7);
    spec.width = width;
    const ModelDescription found = describe_by_weights(weights_of(Model(context(), spec)));
    EXPECT_EQ(found.spec.width, width);
    EXPECT_EQ(found.spec.head, imagenet_head(7));
  }
}

TEST(Recognition, SaysWhatItCannotTell) {
  EXPECT_THAT(
      file_error([] { load_model(context(), fixture("tiny_legacy.h5")); }),
      HasSubstr(
          "not a network that is known (mobilenet_v2 in its published widths); its 5 layers with weights: "
          "'stem', 'stem_bn', 'depthwise', 'project', 'classes'"));
  WeightFile two = weights_of(Model(context(), small_spec(7)));
  two.layers.push_back({"hidden", "hidden", "", {{"kernel", {{1, 1}, std::vector<float>(1), ""}}}});
  EXPECT_THAT(file_error([&] { describe_by_weights(two); }),
              HasSubstr("several Dense layers ('predictions', 'hidden')"));
}

TEST(LoadWeights, ListsWhatIsMissingMisshapenAndLeftOver) {
  Model model(context(), small_spec(7));
  const auto before = model.find_layer("Conv1")->parameters()[0].value.to_vector<float>(context());
  WeightFile file = weights_of(model);
  auto& layers = file.layers;
  const auto at = [&](std::string_view name) { return std::ranges::find(layers, name, &WeightLayer::path); };
  at("bn_Conv1")->weights.erase(at("bn_Conv1")->weights.begin());
  at("block_1_expand")->weights[0].array.shape.back() += 1;
  at("block_2_expand")->weights[0].array.other_type = "8-bit integers";
  at("block_3_depthwise")->weights[0].name = "kernel";  // as Keras 3 calls it
  layers.push_back({"extra", "extra", "", {{"kernel", {{1}, std::vector<float>(1), ""}}}});

  const LoadReport report = compare_weights(model, file);
  EXPECT_THAT(report.missing, testing::ElementsAre("bn_Conv1/gamma"));
  EXPECT_THAT(
      report.misshapen,
      testing::ElementsAre("block_1_expand/kernel: expected [1, 1, 8, 48], got [1, 1, 8, 49]",
                           "block_2_expand/kernel: expected floating-point numbers, got 8-bit integers"));
  EXPECT_THAT(report.left_over, testing::ElementsAre("extra/kernel"));
  EXPECT_EQ(
      file_error([&] { load_weights(context(), model, file); }),
      "made.h5: does not fit the model: missing bn_Conv1/gamma; misshapen block_1_expand/kernel: expected "
      "[1, 1, 8, 48], got [1, 1, 8, 49], block_2_expand/kernel: expected floating-point numbers, got 8-bit "
      "integers; left over extra/kernel");
  EXPECT_EQ(model.find_layer("Conv1")->parameters()[0].value.to_vector<float>(context()), before)
      << "a file that does not fit changes nothing";
}

TEST(LoadWeights, TakesTheBackboneAlone) {
  Model model(context(), small_spec(3));
  const auto head = model.find_layer("predictions")->parameters()[0].value.to_vector<float>(context());
  const WeightFile file = weights_of(Model(context(), small_spec(7)));
  EXPECT_THAT(file_error([&] { load_weights(context(), model, file); }),
              HasSubstr("misshapen predictions/kernel"));
  const LoadReport report = load_weights(context(), model, file, WeightScope::backbone);
  EXPECT_THAT(report.left_over, testing::ElementsAre("predictions/kernel", "predictions/bias"));
  EXPECT_EQ(model.find_layer("predictions")->parameters()[0].value.to_vector<float>(context()), head);
  EXPECT_EQ(model.find_layer("Conv1")->parameters()[0].value.to_vector<float>(context())[5], 1.0f);
}

TEST(LoadWeights, ChoosesByShapeAmongLayersOfOneName) {
  Model model(context(), small_spec(7));
  WeightFile file = weights_of(model);
  WeightLayer& right = file.layers.back();
  right.path = "inner/predictions";
  right.group = "";
  file.layers.push_back({"other/predictions", "", "", {{"kernel", {{2, 2}, std::vector<float>(4), ""}}}});
  const LoadReport report = compare_weights(model, file);
  EXPECT_THAT(report.missing, IsEmpty());
  EXPECT_THAT(report.left_over, testing::ElementsAre("other/predictions/kernel"));
}

template <class T>
T first_weight(DType type) {
  ModelSpec spec = small_spec();
  spec.type = type;
  Model model(context(), spec);
  WeightFile file = weights_of(model);
  file.layers[0].weights[0].array.values =
      std::vector<double>(std::get<std::vector<float>>(file.layers[0].weights[0].array.values).size(), 1.5);
  load_weights(context(), model, file);
  return model.find_layer("Conv1")->parameters()[0].value.to_vector<T>(context())[0];
}

TEST(LoadWeights, ConvertsToTheModelsType) {
  EXPECT_EQ(first_weight<float>(DType::f32), 1.5f);
  EXPECT_EQ(first_weight<double>(DType::f64), 1.5);
}

// model_config of a MobileNetV2 0.35 between what the test gives.
std::string config_around(const std::string& before, const std::string& after) {
  return R"({"class_name": "Functional", "config": {"name": "m", "layers": [)" + before +
         R"({"class_name": "Conv2D", "config": {"name": "Conv1"}}, {"class_name": "ReLU", "config": {"name": "out_relu", "max_value": 6.0}})" +
         after + "]}}";
}

ModelDescription describe(const std::string& config) {
  WeightFile file = weights_of(Model(context(), small_spec()));
  file.model_config = config;
  return describe_by_config(file);
}

std::string input_layer(const std::string& shape) {
  return R"({"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": )" + shape + "}},";
}

TEST(ModelConfig, ComposesWhatHappensToThePixels) {
  const ModelDescription found =
      describe(config_around(input_layer("[null, 160, 128, 3]") +
                                 R"({"class_name": "RandomRotation", "config": {"name": "r"}},
             {"class_name": "Rescaling", "config": {"name": "s", "scale": [0.5, 1, 2], "offset": 1}},
             {"class_name": "TFOpLambda", "config": {"name": "d", "function": "math.truediv"},
              "inbound_nodes": [["s", 0, 0, {"y": 2.0, "name": null}]]},)",
                             ""));
  EXPECT_EQ(found.spec.input_height, 160);
  EXPECT_EQ(found.spec.input_width, 128);
  EXPECT_EQ(found.preprocessing.scale, (std::array<float, 3>{0.25f, 0.5f, 1}));
  EXPECT_EQ(found.preprocessing.offset, (std::array<float, 3>{0.5f, 0.5f, 0.5f}));
  EXPECT_EQ(found.preprocessing.height, 160);
}

TEST(ModelConfig, TakesTheSizeFromResizingOrTheDefault) {
  EXPECT_EQ(describe(config_around(input_layer("[null, null, null, 3]"), "")).spec.input_height, 224);
  const ModelDescription found = describe(
      config_around(input_layer("[null, 480, 640, 3]") +
                        R"({"class_name": "Resizing", "config": {"name": "z", "height": 96, "width": 64}},)",
                    ""));
  EXPECT_EQ(found.preprocessing.height, 96);
  EXPECT_EQ(found.preprocessing.width, 64);
}

TEST(ModelConfig, FoldsActivationLayersAndKeepsNamesApart) {
  const ModelDescription found = describe(config_around("", R"(,
      {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool"}},
      {"class_name": "Flatten", "config": {"name": "flat"}},
      {"class_name": "Sequential", "config": {"name": "a", "layers": [
        {"class_name": "Dense", "config": {"name": "dense", "units": 8, "activation": {"class_name": "function", "config": "relu"}}}]}},
      {"class_name": "Sequential", "config": {"name": "b", "layers": [
        {"class_name": "Dense", "config": {"name": "dense", "units": 4}},
        {"class_name": "Activation", "config": {"name": "act", "activation": "softmax"}}]}})"));
  const std::vector<HeadLayerSpec> head = {{"GlobalAveragePooling2D", "pool", 0, true, "linear", 0},
                                           {"Dense", "dense", 8, true, "relu", 0},
                                           {"Dense", "b/dense", 4, true, "softmax", 0}};
  EXPECT_EQ(found.spec.head, head);
}

TEST(ModelConfig, NamesTheLayerThatIsNotSupported) {
  const auto error = [](const std::string& before, const std::string& after) {
    return file_error([&] { describe(config_around(before, after)); });
  };
  EXPECT_EQ(error("", R"(, {"class_name": "LSTM", "config": {"name": "x"}})"),
            "made.h5: model_config: layer 'x' ('LSTM'): not supported behind the network (expected "
            "GlobalAveragePooling2D, Dropout or Dense)");
  EXPECT_THAT(error(R"({"class_name": "Normalization", "config": {"name": "n"}},)", ""),
              HasSubstr("layer 'n' ('Normalization'): not supported before the network"));
  EXPECT_THAT(
      error("", R"(, {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "sigmoid"}})"),
      HasSubstr("expected activation linear, relu or softmax, got 'sigmoid'"));
  EXPECT_THAT(error("", R"(, {"class_name": "Dense", "config": {"name": "d", "units": 1e300}})"),
              HasSubstr("expected a size of 1 to 1000000"));
  EXPECT_THAT(error("", R"(, {"class_name": "Softmax", "config": {"name": "s"}})"),
              HasSubstr("expected it right behind a linear Dense layer"));
  EXPECT_THAT(error(input_layer("[null, 3, 224, 224]"), ""),
              HasSubstr("expected images with 3 channels last"));
  EXPECT_THAT(error(R"({"class_name": "Rescaling", "config": {"name": "s", "scale": [1, 2]}},)", ""),
              HasSubstr("expected 1 or 3 numbers, got 2"));
  EXPECT_THAT(error(R"({"class_name": 5},)", ""), HasSubstr("not as Keras writes it"));
  EXPECT_THAT(file_error([] { describe("{"); }), HasSubstr("not as Keras writes it"));
  EXPECT_THAT(file_error([] { describe(R"({"class_name": "Sequential", "config": {"layers": []}})"); }),
              HasSubstr("expected the layers Conv1 to out_relu of mobilenet_v2"));
}

TEST(ModelConfig, RefusesANetworkOfOtherConstants) {
  const std::string config = R"({"class_name": "Functional", "config": {"layers": [
      {"class_name": "Conv2D", "config": {"name": "Conv1"}},
      {"class_name": "BatchNormalization", "config": {"name": "bn_Conv1", "epsilon": 1e-5}},
      {"class_name": "ReLU", "config": {"name": "out_relu", "max_value": 6.0}}]}})";
  EXPECT_THAT(file_error([&] { describe(config); }),
              HasSubstr("'bn_Conv1' ('BatchNormalization'): expected epsilon"));
}

}  // namespace
}  // namespace pila::load_model_test
