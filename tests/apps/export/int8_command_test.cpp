// pila-export --precision int8 as its users run it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "apps/export/folder_pictures.h"
#include "apps/media/canvas.h"
#include "apps/media/image_writer.h"
#include "engine/core/random.h"
#include "tests/apps/process.h"
#include "weights/load_model.h"
#include "weights/save_weights.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Arguments = std::vector<std::string>;

constexpr std::int64_t kPictures = 24, kClasses = 3, kSize = 32;

const Parameter& parameter_of(const Model& model, const std::string& layer, const std::string& name) {
  return *std::ranges::find(model.find_layer(layer)->parameters(), name, &Parameter::name);
}

// Coloured rectangles, and random networks that see differences between them.
class ExportInt8 : public testing::Test {
 protected:
  ExportInt8() {
    for (std::int64_t i = 0; i < kPictures; ++i) draw("flat/" + std::to_string(i) + ".png", i);
    about_.spec.width = 0.35;
    about_.spec.input_height = about_.spec.input_width = kSize;
    about_.spec.head = imagenet_head(kClasses);
    about_.preprocessing.height = about_.preprocessing.width = kSize;
    about_.classes = {"copper", "tin", "zinc"};
    about_.temperature = 1.25;
    const Model model(ctx_, about_.spec, 1);
    tell_pictures_apart(model);
    save_model(ctx_, model, about_, at("model.h5"));
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }

  void draw(const std::string& name, std::int64_t seed) const {
    fs::create_directories(fs::path(at(name)).parent_path());
    Random random(static_cast<std::uint64_t>(seed));
    const auto color = [&] {
      const auto level = [&] { return static_cast<std::uint8_t>(random.below(256)); };
      return media::Color{level(), level(), level()};
    };
    media::Canvas canvas(40, 40);
    canvas.fill({0, 0, 40, 40}, color());
    for (int i = 0; i < 3; ++i) {
      const auto place = [&] { return static_cast<double>(random.below(25)); };
      canvas.fill({place(), place(), 15, 15}, color());
    }
    media::save_png(canvas.finish(), at(name));
  }

  Tensor logits(const Model& model) const {
    const FolderPictures pictures(at("flat"), {}, about_.preprocessing, {});
    return model.logits(ctx_, preprocess(ctx_, pictures.pixels(ctx_, 0, kPictures), about_.preprocessing));
  }

  // Gives every class a logit that is 0 for the middle one of the pictures, and spreads a few units wide.
  void tell_pictures_apart(const Model& model) const {
    const auto before = logits(model).to_vector<float>(ctx_);
    std::vector<float> biases, all(before);
    const auto spread = std::ranges::minmax(before);
    const float factor = 10 / (spread.max - spread.min);
    for (std::size_t k = 0; k < kClasses; ++k) {
      std::vector<float> of_class;
      for (std::size_t i = k; i < before.size(); i += kClasses) of_class.push_back(before[i]);
      std::ranges::nth_element(of_class, of_class.begin() + kPictures / 2);
      biases.push_back(-of_class[kPictures / 2] * factor);
    }
    const Tensor& kernel = parameter_of(model, "predictions", "kernel").value;
    auto weights = kernel.to_vector<float>(ctx_);
    for (float& weight : weights) weight *= factor;
    kernel.assign<float>(ctx_, weights);
    parameter_of(model, "predictions", "bias").value.assign<float>(ctx_, biases);
  }

  // A channel that nobody listens to is so loud that integers have no levels left for the others.
  void drown_the_signal(const Model& model) const {
    const Tensor& beta = parameter_of(model, "expanded_conv_project_BN", "beta").value;
    auto offsets = beta.to_vector<float>(ctx_);
    offsets[0] = 1e4f;
    beta.assign<float>(ctx_, offsets);
    const Tensor& kernel = parameter_of(model, "block_1_expand", "kernel").value;
    auto weights = kernel.to_vector<float>(ctx_);
    std::fill_n(weights.begin(), kernel.shape()[-1], 0.0f);
    kernel.assign<float>(ctx_, weights);
  }

  // The pictures again, in folders of what the model says of them; some lie in one that it does not know.
  void sort_pictures() const {
    const LoadedModel loaded = load_model(ctx_, at("model.h5"));
    const auto values = logits(*loaded.model).to_vector<float>(ctx_);
    const FolderPictures pictures(at("flat"), {}, about_.preprocessing, {});
    for (std::size_t i = 0; i < pictures.files().size(); ++i) {
      const auto best = best_class(std::span(values).subspan(i * kClasses, kClasses));
      const fs::path folder =
          fs::path(at("sorted")) / (i < 2 ? "others" : about_.classes[static_cast<std::size_t>(best)]);
      fs::create_directories(folder);
      fs::copy_file(pictures.files()[i], folder / fs::path(pictures.files()[i]).filename());
    }
  }

  test::Finished run(const Arguments& arguments) const {
    return test::run_program(PILA_EXPORT, arguments, folder_.path());
  }
  test::Finished to_int8(const std::string& model, const std::string& pictures,
                         const Arguments& more = {}) const {
    Arguments arguments = {"--model",     model,    "--precision", "int8",
                           "--calibrate", pictures, "--out",       "int8.h5"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }

  test::TemporaryFolder folder_;
  const Context ctx_{Device::cpu(1)};
  ModelDescription about_;
};

// Of the pictures at most one or two lie so close to a border between classes that int8 moves them across it.
const Arguments kTolerant = {"--max-drop", "10"};

TEST_F(ExportInt8, WritesTheSameModelWithRanges) {
  sort_pictures();
  const auto done = to_int8("model.h5", "sorted", kTolerant);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, AllOf(HasSubstr("Ranges by 24 pictures of sorted:\n"), HasSubstr("%   min-max\n"),
                              HasSubstr("entropy\n"), HasSubstr("Chosen: "),
                              HasSubstr("Right answers on the labelled pictures of sorted:\n"),
                              HasSubstr("      22   100.00%")));
  const LoadedModel before = load_model(ctx_, at("model.h5")), after = load_model(ctx_, at("int8.h5"));
  EXPECT_EQ(after.classes, before.classes);
  EXPECT_EQ(after.temperature, before.temperature);
  EXPECT_TRUE(after.warnings.empty());
  for (std::size_t i = 0; i < before.model->layers().size(); ++i) {
    const auto& expected = before.model->layers()[i]->parameters();
    for (std::size_t k = 0; k < expected.size(); ++k) {
      EXPECT_EQ(after.model->layers()[i]->parameters()[k].value.to_vector<float>(ctx_),
                expected[k].value.to_vector<float>(ctx_));
    }
  }
  EXPECT_EQ(after.ranges.size(), 34u)
      << "two products in each of 17 blocks but one in the first, and the last";
  EXPECT_TRUE(after.ranges.contains("block_16_project"));
  EXPECT_FALSE(after.ranges.contains("predictions"));
  EXPECT_FALSE(after.ranges.contains("Conv1")) << "no product";

  ASSERT_EQ(to_int8("model.h5", "sorted", {"--max-drop", "10", "--threads", "1"}).exit_code, 0);
  EXPECT_EQ(load_model(ctx_, at("int8.h5")).ranges, after.ranges) << "at any number of threads";
}

TEST_F(ExportInt8, ComparesWithFloat32WhereNothingIsLabelled) {
  const auto done = to_int8("model.h5", "flat", kTolerant);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out,
              AllOf(HasSubstr("Answers like float32's on the pictures of flat, of which none is labelled:\n"),
                    HasSubstr("      24   100.00%")));
  const auto fewer = to_int8("model.h5", "flat", {"--max-drop", "10", "--images", "16", "--threads", "2"});
  EXPECT_THAT(fewer.out, HasSubstr("Ranges by 16 pictures of flat:\n"));
}

TEST_F(ExportInt8, MeasuresOnOtherPictures) {
  sort_pictures();
  const auto done = to_int8("model.h5", "flat", {"--max-drop", "10", "--data", "sorted"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, AllOf(HasSubstr("Right answers on the labelled pictures of sorted:\n"),
                              HasSubstr("      22   100.00%")));
}

TEST_F(ExportInt8, RefusesToLoseTooMuch) {
  const LoadedModel loaded = load_model(ctx_, at("model.h5"));
  drown_the_signal(*loaded.model);
  save_model(ctx_, *loaded.model, loaded, at("fragile.h5"));
  const auto refused = to_int8("fragile.h5", "flat");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.out, HasSubstr("      24   100.00%"));
  EXPECT_THAT(refused.err, AllOf(HasSubstr("pila-export: "), HasSubstr("--max-drop allows 1"),
                                 HasSubstr("nothing was written")));
  EXPECT_FALSE(fs::exists(at("int8.h5")));
  EXPECT_EQ(to_int8("fragile.h5", "flat", {"--max-drop", "100"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(at("int8.h5")));
}

TEST_F(ExportInt8, BadInputIsOneLineOfErrorAndNoFile) {
  fs::create_directory(at("empty"));
  for (int i = 0; i < 15; ++i) draw("few/" + std::to_string(i) + ".png", i);
  test::run_shell("/bin/true", "echo broken > " + at("few/broken.png"));
  ModelDescription backbone = about_;
  backbone.spec.head.clear();
  backbone.classes.clear();
  save_model(ctx_, Model(ctx_, backbone.spec), backbone, at("backbone.h5"));
  struct BadCall {
    Arguments arguments;
    int exit_code;
    const char* message;
  };
  const Arguments int8 = {"--out", "int8.h5", "--precision", "int8"};
  const std::vector<BadCall> calls = {
      {{"--model", "model.h5", "--calibrate", "empty"},
       1,
       "empty: pictures are expected, and there are none"},
      {{"--model", "model.h5", "--calibrate", "absent"}, 1, "absent: no such file or folder"},
      {{"--model", "model.h5", "--calibrate", "few"},
       1,
       "few: at least 16 readable pictures are expected for calibration, and there are 15"},
      {{"--model", "absent.h5", "--calibrate", "flat"}, 1, "absent.h5"},
      {{"--model", "backbone.h5", "--calibrate", "flat"}, 1, "a classifier is expected"},
      {{"--model", "model.h5", "--calibrate", "flat", "--data", "flat"},
       1,
       "named after the model's classes"},
      {{"--model", "model.h5"}, 2, "--calibrate"},
      {{"--model", "model.h5", "--calibrate", "flat", "--to", "onnx"}, 2, "--to"},
      {{"--model", "model.h5", "--calibrate", "flat", "--images", "3"}, 2, "--images"},
      {{"--model", "model.h5", "--calibrate", "flat", "--max-drop", "-1"}, 2, "--max-drop"},
      {{"--model", "model.h5", "--calibrate", "flat", "--batch", "2"}, 2, "--batch"},
  };
  for (const BadCall& call : calls) {
    SCOPED_TRACE(call.message);
    Arguments arguments = int8;
    arguments.insert(arguments.end(), call.arguments.begin(), call.arguments.end());
    const auto done = run(arguments);
    EXPECT_EQ(done.exit_code, call.exit_code) << done.err;
    EXPECT_THAT(done.err, AllOf(HasSubstr("pila-export: "), HasSubstr(call.message)));
    EXPECT_FALSE(fs::exists(at("int8.h5")));
  }
  EXPECT_EQ(run({"--model", "model.h5", "--out", "int8.h5"}).exit_code, 2) << "neither --to nor --precision";
  EXPECT_EQ(run({"--model", "model.h5", "--out", "o", "--to", "keras", "--calibrate", "flat"}).exit_code, 2);
}

}  // namespace
}  // namespace pila
