// What is written comes back, in the layout that Keras reads (verify_with_keras.py has Keras itself read it).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "tests/weights/support.h"
#include "weights/atomic_file.h"
#include "weights/container.h"
#include "weights/load_model.h"
#include "weights/load_weights.h"
#include "weights/model_card.h"
#include "weights/save_weights.h"

namespace pila {
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
}  // namespace pila
