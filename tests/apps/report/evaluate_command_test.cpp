// pila-evaluate as its users run it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/media/canvas.h"
#include "apps/media/image_writer.h"
#include "apps/report/confidence_card.h"
#include "engine/core/context.h"
#include "layers/model.h"
#include "tests/apps/process.h"
#include "weights/save_weights.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using Arguments = std::vector<std::string>;

// A folder with a model that takes everything for "tin", and pictures.
class EvaluateCommand : public testing::Test {
 protected:
  EvaluateCommand() {
    write_model("model.h5", {"copper", "tin", "zinc"}, 5);
    write_model("unnamed.h5", {}, 5);
    write_model("nan.h5", {"copper", "tin", "zinc"}, std::numeric_limits<float>::quiet_NaN());
    write("labels.txt", "zinc\ncopper\ntin\n");
    for (const char* name :
         {"data/copper/a.png", "data/tin/a.png", "data/tin/b.png", "data/tin/c.png", "parts/train/tin/a.png",
          "parts/val/copper/a.png", "parts/train/copper/a.png", "other/deep/a.png", "other/b.png",
          "foreign/tin/a.png", "foreign/lead ore/a.png"}) {
      write_picture(name);
    }
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(at(name)).parent_path());
    std::ofstream(at(name), std::ios::binary) << text;
  }
  void write_picture(const std::string& name) const {
    fs::create_directories(fs::path(at(name)).parent_path());
    media::Canvas canvas(40, 30);
    canvas.fill({5, 5, 20, 10}, media::Color{static_cast<std::uint8_t>(name.size() * 9), 30, 200});
    media::save_png(canvas.finish(), at(name));
  }

  // MobileNetV2 of the least size, with weights from a seed; `bias` speaks for the second class.
  void write_model(const std::string& name, const std::vector<std::string>& classes, float bias) const {
    const Context ctx(Device::cpu(1));
    ModelDescription description;
    description.spec.width = 0.35;
    description.spec.input_height = description.spec.input_width = 32;
    description.spec.head = imagenet_head(3);
    description.preprocessing = default_preprocessing(description.spec);
    description.classes = classes;
    Confidence confidence;
    confidence.temperature = 2;
    confidence.score = FamiliarityScore::max_logit;
    confidence.least_familiarity = 100;  // more than any picture reaches
    describe_confidence(confidence, description);
    const Model model(ctx, description.spec, 5);
    const std::vector<float> biases = {0, bias, 0};
    model.layers().back()->parameters().back().value.assign<float>(ctx, biases);
    save_model(ctx, model, description, at(name));
  }

  test::Finished evaluate(const Arguments& arguments) const {
    return test::run_program(PILA_EVALUATE, arguments, folder_.path());
  }
  test::Finished evaluate_good(const Arguments& more) const {
    Arguments arguments = {"--model", "model.h5", "--data", "data"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return evaluate(arguments);
  }

  test::TemporaryFolder folder_;
};

TEST_F(EvaluateCommand, PrintsTheTable) {
  const auto run = evaluate_good({});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("copper             0.0000   0.0000    0.0000        1\n"
                                 "tin                0.7500   1.0000    0.8571        3\n"
                                 "zinc               0.0000   0.0000    0.0000        0\n"
                                 "Accuracy                              0.7500        4\n"));
  EXPECT_THAT(run.out, HasSubstr("at temperature 2.000\n\"Others\": 100.00% of the pictures"));
  EXPECT_THAT(run.err, HasSubstr("data: no pictures of the model's zinc\n"));
}

TEST_F(EvaluateCommand, WritesJsonAndPictures) {
  const auto run = evaluate_good(
      {"--unknown", "other", "--out", "run", "--json", "result.json", "--gradcam", "2", "--batch", "3"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  const std::string text = test::read_text(at("result.json"));
  EXPECT_EQ(text, test::read_text(at("run/report.json")));
  EXPECT_EQ(run.out, test::read_text(at("run/report.txt")));
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["accuracy"], 0.75);
  EXPECT_EQ(json["temperature"], 2);
  EXPECT_EQ(json["kept"], 0);
  EXPECT_EQ(json["unknown"]["images"], 2);
  EXPECT_EQ(json["unknown"]["score"], "max_logit");
  EXPECT_EQ(json["unknown"]["rejected"], 1);
  for (const char* name :
       {"confusion.png", "calibration.png", "misclassified.png", "roc.png",
        "gradcam/gradcam_001_wrong_copper_as_tin.png", "gradcam/gradcam_002_right_tin.png"}) {
    const auto image = media::load_image(fs::path(at("run")) / name);
    EXPECT_GT(image.width, 200) << name;
  }
  const auto to_stdout = evaluate_good({"--json", "-", "--unknown", "other"});
  EXPECT_EQ(nlohmann::json::parse(to_stdout.out)["accuracy"], 0.75);
}

TEST_F(EvaluateCommand, TakesPartsLabelsAndExclusions) {
  const auto accuracy = [&](const Arguments& arguments) {
    Arguments all = {"--json", "-"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto run = evaluate(all);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    const auto json = nlohmann::json::parse(run.out, nullptr, false);
    return json.is_object() ? json["accuracy"].get<double>() : -1;
  };
  EXPECT_EQ(accuracy({"--model", "model.h5", "--data", "parts", "--part", "val"}), 0);
  EXPECT_EQ(accuracy({"--model", "model.h5", "--data", "parts", "--part", "train"}), 0.5);
  EXPECT_EQ(accuracy({"--model", "model.h5", "--data", "parts"}), 1.0 / 3);
  EXPECT_EQ(accuracy({"--model", "model.h5", "--data", "data", "--exclude", "copper"}), 1);
  EXPECT_EQ(accuracy({"--model", "unnamed.h5", "--labels", "labels.txt", "--data", "data"}), 0.25)
      << "there, the second class is copper";
}

TEST_F(EvaluateCommand, SkipsWhatItCannotRead) {
  write("data/tin/broken.jpg", "");
  const auto run = evaluate_good({});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("skipped: data/tin/broken.jpg: an empty file\n"));
  EXPECT_THAT(run.err, HasSubstr("data: 1 of 5 pictures could not be read\n"));
  EXPECT_THAT(run.out, HasSubstr("Accuracy                              0.7500        4\n"));
}

TEST_F(EvaluateCommand, BadInputIsOneLineOfError) {
  write("broken/tin/a.jpg", "");
  write("empty/tin/notes.txt", "Not a picture.");
  write("nothing/notes.txt", "Not a picture.");
  write("file", "");
  const std::string m = "model.h5";
  struct BadCall {
    const char* what;
    Arguments arguments;
    int exit_code;
    const char* message;
  };
  const std::vector<BadCall> calls = {
      {"no data", {"--model", m}, 2, "--data is required"},
      {"no such part", {"--model", m, "--data", "data", "--part", "middle"}, 2, "--part"},
      {"pictures without a place",
       {"--model", m, "--data", "data", "--gradcam", "3"},
       2,
       "--gradcam: expected --out"},
      {"a part of a whole folder",
       {"--model", m, "--data", "data", "--part", "val"},
       1,
       "data: labelled pictures are expected (--part val)"},
      {"a class that the model lacks",
       {"--model", m, "--data", "foreign"},
       1,
       "foreign: its class 'lead ore' is none of the model's (copper, tin, zinc); leave it out (--exclude "
       "'lead ore'), or"},
      {"no class names",
       {"--model", "unnamed.h5", "--data", "data"},
       1,
       "unnamed.h5: the model does not name its classes"},
      {"absent model", {"--model", "absent.h5", "--data", "data"}, 1, "absent.h5: "},
      {"absent data", {"--model", m, "--data", "absent"}, 1, "absent: "},
      {"absent unknown",
       {"--model", m, "--data", "data", "--unknown", "absent"},
       1,
       "absent: no such file or folder"},
      {"nothing unknown",
       {"--model", m, "--data", "data", "--unknown", "nothing"},
       1,
       "nothing: pictures are expected"},
      {"no pictures", {"--model", m, "--data", "empty"}, 1, "empty: labelled pictures are expected"},
      {"broken pictures",
       {"--model", m, "--data", "broken"},
       1,
       "broken: no picture could be read (1 skipped)"},
      {"weights with NaN", {"--model", "nan.h5", "--data", "data"}, 1, "nan.h5: "},
      {"no place for results",
       {"--model", m, "--data", "data", "--json", "no/such/file"},
       1,
       "no/such/file: cannot be written"},
      {"a file for a folder", {"--model", m, "--data", "data", "--out", "file/run"}, 1, "file/run: "},
  };
  for (const auto& call : calls) {
    SCOPED_TRACE(call.what);
    const auto run = evaluate(call.arguments);
    EXPECT_EQ(run.exit_code, call.exit_code) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, HasSubstr(call.message));
    const auto last_line = run.err.rfind('\n', run.err.size() - 2) + 1;
    EXPECT_THAT(run.err.substr(last_line), AllOf(testing::StartsWith("pila-evaluate: "), EndsWith("\n")));
  }
}

}  // namespace
}  // namespace pila
