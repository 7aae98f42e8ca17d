// Files that Keras wrote, in every layout, against what make_fixtures.py put into them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/weights/support.h"
#include "weights/container.h"
#include "weights/text.h"
#include "weights/weight_file.h"

namespace pila::layouts_test {
namespace {

using test::file_error;
using test::fixture;
using test::pattern;
using testing::HasSubstr;

using Shape = std::vector<std::int64_t>;

struct Expected {
  const char* layer;
  const char* weight;
  Shape shape;
};

const std::vector<Expected> kTiny = {
    {"stem", "kernel", {3, 3, 3, 4}},
    {"stem_bn", "gamma", {4}},
    {"stem_bn", "beta", {4}},
    {"stem_bn", "moving_mean", {4}},
    {"stem_bn", "moving_variance", {4}},
    {"depthwise", "kernel", {3, 3, 4, 1}},
    {"depthwise", "bias", {4}},
    {"project", "kernel", {1, 1, 4, 2}},
    {"project", "bias", {2}},
    {"classes", "kernel", {2, 5}},
    {"classes", "bias", {5}},
};
const std::vector<Expected> kNested = {
    {"first", "kernel", {3, 3, 3, 4}},
    {"first", "bias", {4}},
    {"bn", "gamma", {4}},
    {"bn", "beta", {4}},
    {"bn", "moving_mean", {4}},
    {"bn", "moving_variance", {4}},
    {"second", "kernel", {3, 3, 4, 2}},
    {"second", "bias", {2}},
    {"classes", "kernel", {2, 3}},
    {"classes", "bias", {3}},
};

void expect_weights(const WeightFile& file, const std::vector<Expected>& expected) {
  std::size_t weights = 0;
  for (const WeightLayer& layer : file.layers) weights += layer.weights.size();
  EXPECT_EQ(weights, expected.size()) << "left over or missing weights";
  for (const Expected& e : expected) {
    const WeightLayer* layer = file.find(e.layer);
    ASSERT_NE(layer, nullptr) << e.layer;
    const Weight* weight = layer->find(e.weight);
    ASSERT_NE(weight, nullptr) << e.layer << "/" << e.weight;
    EXPECT_EQ(weight->array.shape, e.shape);
    const auto* values = std::get_if<std::vector<float>>(&weight->array.values);
    ASSERT_NE(values, nullptr);
    EXPECT_EQ(*values, pattern(std::string(e.layer) + "/" + e.weight, values->size()))
        << e.layer << "/" << e.weight;
  }
}

struct Case {
  const char* file;
  WeightLayout layout;
  bool nested;
  bool config;
};

class KerasFile : public testing::TestWithParam<Case> {};

TEST_P(KerasFile, GivesEveryWeightByName) {
  const WeightFile file = read_weight_file(fixture(GetParam().file));
  EXPECT_EQ(file.layout, GetParam().layout);
  EXPECT_EQ(!file.model_config.empty(), GetParam().config);
  expect_weights(file, GetParam().nested ? kNested : kTiny);
}

INSTANTIATE_TEST_SUITE_P(
    Fixtures, KerasFile,
    testing::Values(Case{"tiny.weights.h5", WeightLayout::keras3, false, false},
                    Case{"tiny.keras", WeightLayout::keras3, false, true},
                    Case{"tiny_legacy.h5", WeightLayout::legacy, false, false},
                    Case{"tiny_split.h5", WeightLayout::legacy, false, false},
                    Case{"nested.weights.h5", WeightLayout::keras3, true, false},
                    // The order of weights in the group of a sub-model depends on what was frozen.
                    Case{"nested_trainable.h5", WeightLayout::legacy, true, true},
                    Case{"nested_frozen.h5", WeightLayout::legacy, true, true},
                    Case{"nested_part_frozen.h5", WeightLayout::legacy, true, true}),
    [](const testing::TestParamInfo<Case>& test) {
      std::string name = test.param.file;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

Array floats(Shape shape, float value = 1) {
  std::size_t count = 1;
  for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
  return {std::move(shape), std::vector<float>(count, value), ""};
}

// A legacy tree with the layers in the order given.
Hdf5Tree legacy(const std::vector<std::pair<std::string, std::vector<std::string>>>& layers) {
  Hdf5Tree tree;
  TextAttribute names;
  for (const auto& [layer, weights] : layers) {
    names.values.push_back(layer);
    tree.groups[layer]["weight_names"] = {weights};
    for (const std::string& weight : weights) tree.arrays[layer + "/" + weight] = floats({2});
  }
  tree.groups[""]["layer_names"] = names;
  return tree;
}

std::vector<std::string> paths(const WeightFile& file) {
  std::vector<std::string> all;
  for (const WeightLayer& layer : file.layers) all.push_back(layer.path);
  return all;
}

TEST(LegacyLayout, TakesTheLayerFromTheGroupOrFromTheWeightName) {
  const WeightFile file =
      interpret(legacy({{"input_1", {}},
                        {"plain", {"plain/kernel:0"}},
                        {"no_prefix", {"kernel:0"}},
                        {"renamed", {"renamed_3/kernel:0", "renamed_3/bias:0"}},
                        {"model", {"a/kernel:0", "model/b/kernel", "outer/inner/a/kernel"}}}),
                "x.h5");
  EXPECT_EQ(paths(file), (std::vector<std::string>{"plain", "no_prefix", "renamed/renamed_3", "model/a",
                                                   "model/b", "model/outer/inner/a"}));
  EXPECT_NE(file.find("renamed"), nullptr) << "a layer is also known by its group";
  EXPECT_NE(file.find("renamed_3"), nullptr);
  EXPECT_EQ(file.find("model"), nullptr) << "the group of a sub-model is no layer";
  EXPECT_EQ(file.find("a"), nullptr) << "two layers are so called";
  EXPECT_NE(file.find("inner/a"), nullptr);
}

TEST(LegacyLayout, IgnoresTopLevelModelWeightsAndUnlistedArrays) {
  Hdf5Tree tree = legacy({{"plain", {"plain/kernel:0"}}});
  tree.groups["top_level_model_weights"]["weight_names"] = {{"w"}};
  tree.arrays["top_level_model_weights/w"] = floats({3});
  EXPECT_EQ(paths(interpret(tree, "x.h5")), std::vector<std::string>{"plain"});
}

TEST(LegacyLayout, SaysWhatIsWrong) {
  const auto error = [](Hdf5Tree tree) { return file_error([&] { interpret(std::move(tree), "x.h5"); }); };
  EXPECT_EQ(error({}),
            "x.h5: HDF5, but not Keras: expected the attribute layer_names or a group layers, found neither");
  Hdf5Tree absent = legacy({{"plain", {"plain/kernel:0"}}});
  absent.arrays.clear();
  EXPECT_THAT(error(absent), HasSubstr("layer 'plain' lists the weight 'plain/kernel:0', which is absent"));
  Hdf5Tree no_list = legacy({{"plain", {}}});
  no_list.groups["plain"].clear();
  EXPECT_THAT(error(no_list), HasSubstr("layer 'plain' has no list of weights"));
  Hdf5Tree twice = legacy({{"plain", {}}});
  twice.groups[""]["layer_names"] = {{"plain", "plain"}};
  EXPECT_THAT(error(twice), HasSubstr("layer 'plain' is listed twice"));
  EXPECT_THAT(error(legacy({{"a", {"a/kernel:0", "a/kernel"}}})),
              HasSubstr("layer 'a', weight 'kernel': occurs twice"));
}

TEST(WeightFile, RefusesWeightsThatAreNoNumbers) {
  for (const auto& [value, name] : {std::pair(NAN, "NaN"), std::pair(-INFINITY, "infinity")}) {
    Hdf5Tree tree = legacy({{"a", {"a/kernel:0"}}});
    std::get<std::vector<float>>(tree.arrays["a/a/kernel:0"].values)[1] = value;
    EXPECT_EQ(file_error([&] { interpret(tree, "x.h5"); }),
              std::string("x.h5: layer 'a', weight 'kernel': expected finite numbers, got ") + name +
                  " at element 1");
  }
}

TEST(Keras3Layout, SortsNumberedLayersAndDropsRandomStates) {
  Hdf5Tree tree;
  tree.groups["layers"];
  for (const char* place : {"conv2d", "conv2d_1", "conv2d_10", "conv2d_2"}) {
    tree.groups[std::string("layers/") + place + "/vars"];
    tree.arrays[std::string("layers/") + place + "/vars/0"] = floats({1, 1, 1, 1});
  }
  tree.groups["layers/dropout/seed_generator/vars"];
  tree.arrays["layers/dropout/seed_generator/vars/0"] = {{2}, {}, "32-bit integers"};
  const WeightFile file = interpret(tree, "x.weights.h5");
  std::vector<std::string> groups;
  for (const WeightLayer& layer : file.layers) groups.push_back(layer.group);
  EXPECT_EQ(groups, (std::vector<std::string>{"layers/conv2d", "layers/conv2d_1", "layers/conv2d_2",
                                              "layers/conv2d_10"}));
}

TEST(Keras3Layout, ReadsTheNamesThatTensorFlow2_13Used) {
  Hdf5Tree tree;
  const std::string place = "_layer_checkpoint_dependencies/model/_layer_checkpoint_dependencies/dense/vars";
  tree.groups["_layer_checkpoint_dependencies"];
  tree.groups[place]["name"] = TextAttribute::text("classes");
  tree.arrays[place + "/0"] = floats({2, 3});
  tree.arrays[place + "/1"] = floats({3});
  const WeightFile file = interpret(tree, "x.weights.h5");
  EXPECT_EQ(paths(file), std::vector<std::string>{"model/classes"});
  EXPECT_NE(file.find("classes")->find("bias"), nullptr);
}

TEST(Keras3Layout, SaysWhichVariableIsMissing) {
  Hdf5Tree tree;
  tree.groups["layers"];
  tree.groups["layers/dense/vars"];
  tree.arrays["layers/dense/vars/1"] = floats({3});
  EXPECT_THAT(file_error([&] { interpret(tree, "x.weights.h5"); }),
              HasSubstr("'layers/dense' holds '1', expected weight 0"));
}

TEST(Text, KeepsForeignTextOnOneShortLine) {
  EXPECT_EQ(in_quotes("a\nb\x01"), "'a?b?'");
  EXPECT_EQ(in_quotes(std::string(200, 'x')), "'" + std::string(80, 'x') + "...'");
  const std::vector<std::string> items = {"a", "b", "c"};
  EXPECT_EQ(listed(items, 2), "a, b and 1 more");
  EXPECT_TRUE(ends_with_path("a/b/c", "b/c"));
  EXPECT_FALSE(ends_with_path("a/xb/c", "b/c"));
  EXPECT_FALSE(ends_with_path("a/b", ""));
}

}  // namespace
}  // namespace pila::layouts_test
