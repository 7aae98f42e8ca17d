// What is written comes back, in the layout that Keras reads (verify_with_keras.py has Keras itself read it).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <functional>

#include "tests/weights/support.h"
#include "weights/atomic_file.h"
#include "weights/container.h"
#include "weights/load_model.h"
#include "weights/load_weights.h"
#include "weights/model_card.h"
#include "weights/save_weights.h"

namespace pila::save_weights_test {
namespace {

using test::file_error;
using test::TemporaryFolder;
using testing::HasSubstr;

const Context& context() {
  static const Context ctx(Device::cpu(1));
  return ctx;
}

ModelDescription description() {
  ModelDescription model;
  model.spec.width = 0.35;
  model.spec.input_height = 64;
  model.spec.input_width = 96;
  model.spec.head = {{"GlobalAveragePooling2D", "pool", 0, true, "linear", 0},
                     {"Dropout", "drop", 0, true, "linear", 0.25},
                     {"Dense", "hidden", 8, true, "relu", 0},
                     {"Dense", "classes", 3, false, "softmax", 0}};
  model.preprocessing.height = 64;
  model.preprocessing.width = 96;
  model.preprocessing.scale = {0.1f, 0.2f, 0.3f};
  model.classes = {"D cell", "9V, block", "\xC3\xA4hnlich"};
  return model;
}

TEST(SaveWeights, GivesTheWholeModelBack) {
  const TemporaryFolder folder;
  const ModelDescription written = description();
  const Model model(context(), written.spec, 7);
  save_weights(context(), model, folder / "model.h5", format_card(written));
  const LoadedModel loaded = load_model(context(), folder / "model.h5");
  EXPECT_EQ(loaded.model->spec(), written.spec);
  EXPECT_EQ(loaded.preprocessing, written.preprocessing);
  EXPECT_EQ(loaded.classes, written.classes);
  EXPECT_TRUE(loaded.warnings.empty());
  for (std::size_t i = 0; i < model.layers().size(); ++i) {
    const auto& expected = model.layers()[i]->parameters();
    for (std::size_t k = 0; k < expected.size(); ++k) {
      EXPECT_EQ(loaded.model->layers()[i]->parameters()[k].value.to_vector<float>(context()),
                expected[k].value.to_vector<float>(context()))
          << model.layers()[i]->name();
    }
  }
}

TEST(SaveWeights, WritesKerasLegacyLayout) {
  const TemporaryFolder folder;
  ModelSpec spec;
  spec.width = 0.35;
  const Model model(context(), spec);
  save_weights(context(), model, folder / "model.h5");
  const Hdf5Tree tree = read_container(folder / "model.h5");
  const auto& names = tree.groups.at("").at("layer_names").values;
  ASSERT_EQ(names.size(), model.layers().size());
  EXPECT_EQ(names[1], "Conv1");
  EXPECT_FALSE(tree.groups.at("").contains(kCardAttribute));
  EXPECT_THAT(tree.groups.at("expanded_conv_depthwise").at("weight_names").values,
              testing::ElementsAre("expanded_conv_depthwise/depthwise_kernel:0"));
  EXPECT_TRUE(tree.groups.at("Conv1_relu").at("weight_names").values.empty());
  EXPECT_EQ(tree.arrays.at("Conv1/Conv1/kernel:0").shape, (std::vector<std::int64_t>{3, 3, 3, 16}));
}

TEST(SaveWeights, KeepsTheTypeOfTheModel) {
  const TemporaryFolder folder;
  ModelSpec spec;
  spec.width = 0.35;
  spec.type = DType::f64;
  const Model model(context(), spec);
  save_weights(context(), model, folder / "model.h5");
  const Array array = read_container(folder / "model.h5").arrays.at("Conv1/Conv1/kernel:0");
  EXPECT_EQ(std::get<std::vector<double>>(array.values),
            model.find_layer("Conv1")->parameters()[0].value.to_vector<double>(context()));
}

TEST(Card, RefusesWhatItDidNotWrite) {
  EXPECT_THAT(file_error([] { parse_card("{"); }), HasSubstr("its card is damaged"));
  EXPECT_THAT(file_error([] { parse_card(R"({"format": 2})"); }),
              HasSubstr("made by a newer version of Pila: format 2, this program reads 1"));
  EXPECT_THAT(file_error([] { parse_card(R"({"format": 1, "network": 3})"); }),
              HasSubstr("its card is damaged"));
}

TEST(Card, NamesAsManyClassesAsTheModelHas) {
  const TemporaryFolder folder;
  ModelDescription wrong = description();
  const Model model(context(), wrong.spec);
  wrong.classes.pop_back();
  save_weights(context(), model, folder / "model.h5", format_card(wrong));
  EXPECT_EQ(file_error([&] { load_model(context(), folder / "model.h5"); }),
            (folder / "model.h5").string() + ": expected 3 class names, got 2");
}

ModelDescription full_description() {
  ModelDescription model = description();
  model.temperature = 1.0 / 3;
  model.threshold = 0.625;
  model.unknown = {"mahalanobis", 17.25, {{"shrinkage", 0.1}}};
  model.ranges = {{"block_1_expand", {-4.75f, 0.1f}}, {"block_2_project", {0, 6}}, {"Conv_1", {-3, -3}}};
  model.recipe = R"({"epochs":40,"stages":[{"rate":1e-05}]})";
  model.data_hash = "0123abcd";
  model.program = "pila 0.1.0";
  model.arrays["class_means"] = {{3, 2}, {1, 2, 3, 4, 5, 6.5f}};
  model.arrays["variance"] = {{}, {0.25f}};
  model.arrays["nothing"] = {{0, 5}, {}};
  return model;
}

TEST(SaveModel, GivesAllThatIsKnownOfIt) {
  const TemporaryFolder folder;
  const ModelDescription written = full_description();
  const Model model(context(), written.spec, 7);
  save_model(context(), model, written, folder / "model.h5");
  const LoadedModel loaded = load_model(context(), folder / "model.h5");
  EXPECT_EQ(loaded.spec, written.spec);
  EXPECT_EQ(loaded.classes, written.classes);
  EXPECT_EQ(loaded.temperature, written.temperature);
  EXPECT_EQ(loaded.threshold, written.threshold);
  EXPECT_EQ(loaded.unknown, written.unknown);
  EXPECT_EQ(loaded.ranges, written.ranges);
  EXPECT_EQ(loaded.recipe, written.recipe);
  EXPECT_EQ(loaded.data_hash, written.data_hash);
  EXPECT_EQ(loaded.program, written.program);
  EXPECT_EQ(loaded.arrays, written.arrays);
  EXPECT_TRUE(loaded.warnings.empty());
}

// An HDF5 attribute has room for 64 KiB.
TEST(SaveModel, KeepsALongDescription) {
  const TemporaryFolder folder;
  ModelDescription written = full_description();
  constexpr std::int64_t kClasses = 3000;
  written.spec.head.back().units = kClasses;
  written.classes.clear();
  for (int i = 0; i < kClasses; ++i) {
    written.classes.push_back("a class with a long name, number " + std::to_string(i));
  }
  written.recipe = "\"" + std::string(1 << 20, 'r') + "\"";
  written.arrays["class_means"] = {{kClasses, 40}, std::vector<float>(kClasses * 40, 0.5f)};
  const Model model(context(), written.spec);
  save_model(context(), model, written, folder / "model.h5");
  const LoadedModel loaded = load_model(context(), folder / "model.h5");
  EXPECT_EQ(loaded.classes, written.classes);
  EXPECT_EQ(loaded.recipe, written.recipe);
  EXPECT_EQ(loaded.arrays, written.arrays);
}

TEST(SaveModel, RefusesWhatCouldNotBeLoaded) {
  const TemporaryFolder folder;
  const Model model(context(), description().spec);
  const auto refused = [&](const std::function<void(ModelDescription&)>& spoil) {
    ModelDescription wrong = full_description();
    spoil(wrong);
    EXPECT_THROW(save_model(context(), model, wrong, folder / "model.h5"), UsageError);
    EXPECT_FALSE(std::filesystem::exists(folder / "model.h5"));
  };
  refused([](ModelDescription& d) { d.classes.pop_back(); });
  refused([](ModelDescription& d) { d.temperature = 0; });
  refused([](ModelDescription& d) { d.temperature = std::nan(""); });
  refused([](ModelDescription& d) { d.threshold = 1.5; });
  refused([](ModelDescription& d) { d.unknown.threshold = HUGE_VAL; });
  refused([](ModelDescription& d) { d.unknown.parameters["x"] = HUGE_VAL; });
  refused([](ModelDescription& d) { d.ranges["block_1_expand"] = {1, 0}; });
  refused([](ModelDescription& d) { d.ranges["block_1_expand"].high = HUGE_VALF; });
  refused([](ModelDescription& d) { d.ranges["block_99_expand"] = {0, 1}; });
  refused([](ModelDescription& d) { d.recipe = "{"; });
  refused([](ModelDescription& d) { d.classes[0] = "\xFF"; });
  refused([](ModelDescription& d) { d.arrays["a/b"] = {{1}, {1}}; });
  refused([](ModelDescription& d) { d.arrays["a"] = {{2}, {1}}; });
  refused([](ModelDescription& d) { d.arrays["a"] = {{-1}, {}}; });
  refused([](ModelDescription& d) { d.arrays["a"] = {{1}, {std::nanf("")}}; });
}

TEST(Card, OlderOnesHaveLess) {
  const ModelDescription model =
      parse_card(R"({"format": 1, "network": "mobilenet_v2", "width": 0.35, "input": [96, 96], "head": [],)"
                 R"( "preprocessing": {"scale": [1, 1, 1], "offset": [0, 0, 0]}, "classes": []})");
  EXPECT_EQ(model.temperature, 1);
  EXPECT_EQ(model.threshold, 0);
  EXPECT_TRUE(model.unknown.kind.empty());
  EXPECT_TRUE(model.ranges.empty());
  EXPECT_TRUE(model.recipe.empty());
}

TEST(Card, RefusesNumbersThatMakeNoSense) {
  const std::string card = format_card(full_description());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = card;
    changed.replace(changed.find(from), from.size(), to);
    return file_error([&] { parse_card(changed); });
  };
  EXPECT_THAT(with("\"threshold\":0.625", "\"threshold\":-1"), HasSubstr("expected a temperature above 0"));
  EXPECT_THAT(with("\"threshold\":0.625", "\"threshold\":\"high\""), HasSubstr("damaged"));
  EXPECT_THAT(with("\"temperature\":0.3", "\"temperature\":-0.3"),
              HasSubstr("expected a temperature above 0"));
  EXPECT_THAT(with("\"kind\":", "\"sort\":"), HasSubstr("damaged"));
  EXPECT_THAT(with("{\"shrinkage\":0.1}", "[]"), HasSubstr("damaged"));
}

TEST(Card, TakesNothingButRangesForRanges) {
  const std::string card = format_card(full_description()), good = "[0.0,6.0]";
  ASSERT_THAT(card, HasSubstr(good));
  for (const char* bad :
       {"[6.0,0.0]", "[0,1e39]", "[0,1e999]", "[0,-1e300]", "[0,6,7]", "[0]", "[]", "6", "null", "[null,6]",
        "[false,true]", "[\"0\",\"6\"]", "[[0],[6]]", "{\"0\":0,\"1\":6}"}) {
    std::string changed = card;
    changed.replace(changed.find(good), good.size(), bad);
    EXPECT_THAT(file_error([&] { parse_card(changed); }), HasSubstr("damaged")) << bad;
  }
  for (const char* bad : {"{}", "[]", "7", "{\"ranges\":[]}", "{\"ranges\":[[0,6]]}", "{\"ranges\":null}"}) {
    const std::string changed = card.substr(0, card.size() - 1) + ",\"int8\":" + bad + "}";
    EXPECT_THAT(file_error([&] { parse_card(changed); }), HasSubstr("damaged")) << bad;
  }
}

TEST(Card, HasRangesOfTheModelsLayers) {
  const TemporaryFolder folder;
  ModelDescription wrong = description();
  const Model model(context(), wrong.spec);
  wrong.ranges = {{"block_99_expand", {0, 1}}};
  save_weights(context(), model, folder / "model.h5", format_card(wrong));
  EXPECT_EQ(file_error([&] { load_model(context(), folder / "model.h5"); }),
            (folder / "model.h5").string() +
                ": expected ranges of the network's layers, got one of 'block_99_expand'");
}

TEST(AtomicFile, ReplacesAWholeFile) {
  const TemporaryFolder folder;
  test::write_bytes(folder / "a", "old");
  const std::string text = "new";
  write_atomically(folder / "a", std::as_bytes(std::span(text)));
  EXPECT_EQ(test::read_bytes(folder / "a"), "new");
}

std::size_t files_in(const TemporaryFolder& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder.path()), {}));
}

TEST(AtomicFile, ClearsAwayWhatWasLeftOfIt) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "a.17-1.partial", "a.ckpt", "b.17-1.partial"})
    test::write_bytes(folder / name, "x");
  remove_partial_files(folder / "a");
  EXPECT_EQ(files_in(folder), 3u);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.17-1.partial"));
  remove_partial_files(folder / "absent/a");
}

// A limit on the size of files stands in for a full disk: write() fails after a part.
TEST(AtomicFile, LeavesNothingWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  test::write_bytes(folder / "a", "old");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1 << 16, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const std::vector<std::byte> large(1 << 20);
  const std::string error = file_error([&] { write_atomically(folder / "a", large); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(error, HasSubstr("cannot be written"));
  EXPECT_EQ(test::read_bytes(folder / "a"), "old");
  EXPECT_EQ(files_in(folder), 1u);
}

TEST(AtomicFile, LeavesNothingWhereTheFileCannotBe) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "taken");
  test::write_bytes(folder / "taken/inside", "x");
  EXPECT_THAT(file_error([&] { write_atomically(folder / "taken", {}); }),
              HasSubstr("cannot be put in its place"));
  EXPECT_EQ(files_in(folder), 1u);
  EXPECT_THAT(file_error([&] { write_atomically(folder / "absent/a", {}); }), HasSubstr("cannot be created"));
}

}  // namespace
}  // namespace pila::save_weights_test
