// pila-live as its users run it: what it prints where, and how it ends on bad input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <sstream>

#include "engine/core/context.h"
#include "layers/model.h"
#include "tests/apps/pictures.h"
#include "tests/apps/process.h"
#include "weights/load_model.h"
#include "weights/model_card.h"
#include "weights/save_weights.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using Arguments = std::vector<std::string>;

std::vector<nlohmann::ordered_json> parse_lines(const std::string& text) {
  std::vector<nlohmann::ordered_json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::ordered_json::parse(line));
  return lines;
}

// A folder with small models and pictures.
class Live : public testing::Test {
 protected:
  Live() {
    write_model("model.h5", {"copper", "tin", "zinc"});
    write("labels.txt", "red\ngreen\nblue\n");
    fs::create_directories(at("pictures/b"));
    write("pictures/a.png", test::encode(".png", test::quadrants(20, 10)));
    write("pictures/b/wrong_ending.jpg", test::encode(".png", test::quadrants(8, 30)));
    write("pictures/b/no_ending", test::encode(".jpg", test::quadrants(50, 40)));
    write("pictures/one_pixel.png", test::encode(".png", cv::Mat(1, 1, CV_8UC3, cv::Scalar(9, 99, 200))));
    write("pictures/notes.txt", "Not a picture.");
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(at(name), std::ios::binary) << text;
  }
  void write(const std::string& name, const test::FileBytes& bytes) const {
    write(name, std::string(bytes.begin(), bytes.end()));
  }

  // MobileNetV2 of the least width and size, with weights from a seed. poison: the last weight is NaN.
  void write_model(const std::string& name, const std::vector<std::string>& classes, bool top = true,
                   bool poison = false) const {
    const Context ctx(Device::cpu(1));
    ModelDescription description;
    description.spec.width = 0.35;
    description.spec.input_height = description.spec.input_width = 32;
    if (top) description.spec.head = imagenet_head(static_cast<std::int64_t>(classes.size()));
    description.preprocessing = default_preprocessing(description.spec);
    description.classes = classes;
    const Model model(ctx, description.spec, 5);
    if (poison) {
      const Tensor& bias = model.layers().back()->parameters().back().value;
      std::vector<float> values(classes.size(), std::numeric_limits<float>::quiet_NaN());
      bias.assign<float>(ctx, values);
    }
    save_weights(ctx, model, at(name), format_card(description));
  }

  test::Finished live(const Arguments& arguments) const {
    return test::run_program(PILA_LIVE, arguments, folder_.path());
  }
  // With a model, labels and a source that are good.
  test::Finished live_good(Arguments more) const {
    Arguments arguments = {"--model", "model.h5", "--source", "pictures"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return live(arguments);
  }

  test::TemporaryFolder folder_;
};

TEST_F(Live, ExplainsItsPlan) {
  const auto run = live_good({"--explain-plan"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.err, AllOf(HasSubstr("pass fuse-inverted-residual: 17\n"),
                             HasSubstr("inverted_residual block_1_project: float32[4, 16, 16, 8] to "
                                       "float32[4, 8, 8, 8]")));
}

TEST_F(Live, LeavesPassesOut) {
  const auto run = live_good({"--json", "-"}),
             without = live_good({"--json", "-", "--without-pass", "fuse-inverted-residual"});
  EXPECT_EQ(without.exit_code, 0);
  const auto some = parse_lines(run.out), others = parse_lines(without.out);
  ASSERT_EQ(some.size(), others.size());
  for (std::size_t i = 0; i < some.size(); ++i) EXPECT_EQ(some[i]["label"], others[i]["label"]);

  const auto unknown = live_good({"--without-pass", "fuse-all"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err,
              HasSubstr("expected one of the passes prepare-weights, capture-work, fold-constants"));
}

TEST_F(Live, ComputesInThePrecisionOfTheModelOrTheOptions) {
  const Context ctx(Device::cpu(1));
  LoadedModel loaded = load_model(ctx, at("model.h5"));
  loaded.ranges = {{"Conv_1", {-6, 6}}};
  save_model(ctx, *loaded.model, loaded, at("int8.h5"));
  const auto describe = [&](const Arguments& more) {
    Arguments arguments = {"--source", "pictures", "--explain-plan"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return live(arguments).err;
  };
  EXPECT_THAT(describe({"--model", "int8.h5"}),
              AllOf(HasSubstr("3 classes, int8\n"), HasSubstr("pass lower-precision: 1\n")));
  EXPECT_THAT(describe({"--model", "int8.h5", "--precision", "float32"}),
              AllOf(HasSubstr("3 classes\n"), HasSubstr("pass lower-precision: 0\n")));
  const auto uncalibrated = live_good({"--precision", "int8"});
  EXPECT_EQ(uncalibrated.exit_code, 2);
  EXPECT_THAT(uncalibrated.err,
              HasSubstr("--precision int8: a model that was calibrated for it is expected"));
}

TEST_F(Live, WritesOneJsonLineForEachImage) {
  const auto run = live_good({"--json", "-"});
  EXPECT_EQ(run.exit_code, 0);
  const auto lines = parse_lines(run.out);
  ASSERT_EQ(lines.size(), 4u);
  const Arguments sources = {"pictures/a.png", "pictures/b/no_ending", "pictures/b/wrong_ending.jpg",
                             "pictures/one_pixel.png"};
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : lines[i].items()) keys.push_back(key);
    EXPECT_THAT(keys, ElementsAre("source", "index", "label", "recognised", "probability", "probabilities",
                                  "latency_ms"));
    EXPECT_EQ(lines[i]["source"], sources[i]);
    EXPECT_EQ(lines[i]["index"], i);
    std::vector<std::string> classes;
    double sum = 0, best = 0;
    for (const auto& [name, probability] : lines[i]["probabilities"].items()) {
      classes.push_back(name);
      sum += probability.get<double>();
      best = std::max(best, probability.get<double>());
    }
    EXPECT_THAT(classes, ElementsAre("copper", "tin", "zinc"));
    EXPECT_NEAR(sum, 1, 1e-5);  // three floats, rounded
    EXPECT_EQ(lines[i]["probability"], best);
    EXPECT_EQ(lines[i]["probabilities"][lines[i]["label"].get<std::string>()], best);
    for (const char* part : {"decode", "preprocess", "network"}) {
      EXPECT_GT(lines[i]["latency_ms"][part].get<double>(), 0) << part;
    }
  }
  EXPECT_THAT(run.err, EndsWith("4 images classified, 0 skipped, 1 other files passed over\n"));
  EXPECT_THAT(run.err, HasSubstr("model.h5: mobilenet_v2, width 0.35, 32 x 32, 3 classes"));
}

TEST_F(Live, WritesJsonToAFile) {
  const auto run = live_good({"--json", "result.jsonl"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(parse_lines(test::read_text(at("result.jsonl"))).size(), 4u);
}

TEST_F(Live, WritesTextForPeople) {
  const auto run =
      live({"--model", "model.h5", "--labels", "labels.txt", "--source", "pictures/a.png", "--top", "1"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.out, testing::MatchesRegex("pictures/a.png: (red|green|blue) [0-9]+.[0-9]%\n"));
  EXPECT_THAT(run.err, EndsWith("1 image classified, 0 skipped\n"));
}

TEST_F(Live, SkipsWhatItCannotRead) {
  write("pictures/b/page.jpg", "<!DOCTYPE html><html></html>");
  write("pictures/c.png", "");
  const auto run = live_good({"--json", "-"});
  EXPECT_EQ(run.exit_code, 0);
  const auto lines = parse_lines(run.out);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[3]["index"], 5) << "indices count what is skipped, too";
  EXPECT_THAT(run.err, HasSubstr("skipped: pictures/b/page.jpg: an HTML page\n"));
  EXPECT_THAT(run.err, HasSubstr("skipped: pictures/c.png: an empty file\n"));
  EXPECT_THAT(run.err, EndsWith("4 images classified, 2 skipped, 1 other files passed over\n"));
}

TEST_F(Live, TellsRepeatedClassNamesApart) {
  write("labels.txt", "crane\nwren\ncrane\n");
  const auto run = live_good({"--labels", "labels.txt", "--json", "-"});
  std::vector<std::string> names;
  const auto lines = parse_lines(run.out);
  ASSERT_EQ(lines.size(), 4u);
  for (const auto& [name, value] : lines[0]["probabilities"].items()) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("crane (0)", "wren", "crane (2)"));
}

// The answers hang neither on the number of threads nor, but for rounding, on the batch.
TEST_F(Live, AnswersAreTheSameHoweverTheWorkIsCut) {
  const auto answers = [&](const Arguments& more) {
    Arguments arguments = {"--json", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<double> values;
    for (const auto& line : parse_lines(live_good(arguments).out)) {
      for (const auto& [name, probability] : line["probabilities"].items()) values.push_back(probability);
    }
    return values;
  };
  const auto one_thread = answers({"--threads", "1"});
  ASSERT_EQ(one_thread.size(), 12u);
  EXPECT_EQ(one_thread, answers({"--threads", "3"}));
  EXPECT_EQ(one_thread, answers({"--threads", "5"}));
  for (const char* batch : {"1", "3", "100"}) {
    const auto other = answers({"--batch", batch});
    ASSERT_EQ(other.size(), one_thread.size());
    for (std::size_t i = 0; i < other.size(); ++i) {
      // A probability of float32 that went through 53 layers; another batch may sum in another order.
      EXPECT_NEAR(other[i], one_thread[i], 1e-5) << "batch " << batch;
    }
  }
}

TEST_F(Live, SaysWhatItIs) {
  const auto help = live({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* option : {"--model", "--labels", "--source", "--json", "--top", "--batch", "--threads"}) {
    EXPECT_THAT(help.out, HasSubstr(option));
  }
  const auto version = live({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out,
              testing::MatchesRegex(
                  "pila-live [0-9]+.[0-9]+.[0-9]+\ncompiler: .+\nprocessor: .+\ncuda: .+\n(.|\n)*"));
}

struct BadCall {
  const char* what;
  Arguments arguments;
  int exit_code;
  const char* message;  // in the last line of stderr, behind "pila-live: "
};

TEST_F(Live, BadInputIsOneLineOfError) {
  const auto model = test::read_text(at("model.h5"));
  write("empty.h5", "");
  write("text.h5", "These are not weights.\n");
  write("picture.h5", test::encode(".jpg", test::quadrants(4, 4)));
  write("cut_off.h5", model.substr(0, model.size() / 2));
  write("signature.h5", model.substr(0, 8));
  write_model("no_top.h5", {}, false);
  write_model("nan.h5", {"copper", "tin", "zinc"}, true, true);
  write("four.txt", "a\nb\nc\nd\n");
  write("empty.txt", "");
  write("empty.jpg", "");
  write("text.png", "Not a picture.");
  write("huge.png", test::png_header_only(20000, 20000));
  auto cut_off = test::encode(".jpg", test::quadrants(50, 50));
  cut_off.resize(cut_off.size() / 2);
  write("cut_off.jpg", cut_off);
  fs::create_directories(at("nothing/here"));
  write("nothing/here/notes.txt", "Not a picture.");
  fs::create_directories(at("bad_only"));
  write("bad_only/a.jpg", "");

  const std::string m = "model.h5", p = "pictures/a.png";
  const std::vector<BadCall> calls = {
      {"no arguments", {}, 2, "--"},
      {"no source", {"--model", m}, 2, "--source is required"},
      {"unknown option", {"--model", m, "--source", p, "--fast"}, 2, "--fast"},
      {"number expected", {"--model", m, "--source", p, "--top", "many"}, 2, "--top"},
      {"no image at a time", {"--model", m, "--source", p, "--batch", "0"}, 2, "--batch"},
      {"unknown precision", {"--model", m, "--source", p, "--precision", "float8"}, 2, "--precision"},
      {"precision of GPUs", {"--model", m, "--source", p, "--precision", "float16"}, 2, "got float16"},
      {"unknown device", {"--model", m, "--source", p, "--device", "cuda:x"}, 2, "'cuda:x'"},
      {"negative threads", {"--model", m, "--source", p, "--threads", "-1"}, 2, "--threads"},
      {"absent model", {"--model", "absent.h5", "--source", p}, 1, "absent.h5: "},
      {"folder for a model", {"--model", "pictures", "--source", p}, 1, "pictures: "},
      {"empty model", {"--model", "empty.h5", "--source", p}, 1, "empty.h5: "},
      {"text for a model", {"--model", "text.h5", "--source", p}, 1, "text.h5: "},
      {"picture for a model", {"--model", "picture.h5", "--source", p}, 1, "JPEG"},
      {"half a model", {"--model", "cut_off.h5", "--source", p}, 1, "cut_off.h5: "},
      {"signature alone", {"--model", "signature.h5", "--source", p}, 1, "signature.h5: "},
      {"model without top",
       {"--model", "no_top.h5", "--source", p},
       1,
       "no_top.h5: a classifier is expected"},
      {"weights with NaN", {"--model", "nan.h5", "--source", p}, 1, "nan.h5: "},
      {"absent labels", {"--model", m, "--source", p, "--labels", "absent.txt"}, 1, "absent.txt: "},
      {"empty labels", {"--model", m, "--source", p, "--labels", "empty.txt"}, 1, "empty.txt: "},
      {"other number of labels",
       {"--model", m, "--source", p, "--labels", "four.txt"},
       1,
       "four.txt: 3 class names are expected for model.h5, and it has 4"},
      {"absent source", {"--model", m, "--source", "absent.jpg"}, 1, "absent.jpg: no such file or folder"},
      {"folder without pictures", {"--model", m, "--source", "nothing"}, 1, "nothing: a picture is expected"},
      {"folder of bad pictures",
       {"--model", m, "--source", "bad_only"},
       1,
       "bad_only: no picture could be read"},
      {"empty picture", {"--model", m, "--source", "empty.jpg"}, 1, "empty.jpg: an empty file"},
      {"text for a picture", {"--model", m, "--source", "text.png"}, 1, "text.png: not a picture"},
      {"huge picture",
       {"--model", m, "--source", "huge.png"},
       1,
       "huge.png: the PNG has 20000 x 20000 pixels"},
      {"picture cut off", {"--model", m, "--source", "cut_off.jpg"}, 1, "cut_off.jpg: the JPEG is cut off"},
      {"no place for results",
       {"--model", m, "--source", p, "--json", "no/such/folder.jsonl"},
       1,
       "no/such/folder.jsonl: cannot be written"},
      {"folder for results",
       {"--model", m, "--source", p, "--json", "pictures"},
       1,
       "pictures: a file to write"},
      {"full disk", {"--model", m, "--source", p, "--json", "/dev/full"}, 1, "/dev/full: cannot be written"},
  };
  for (const auto& call : calls) {
    SCOPED_TRACE(call.what);
    const auto run = live(call.arguments);
    EXPECT_EQ(run.exit_code, call.exit_code) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, HasSubstr(call.message));
    const auto last_line = run.err.rfind('\n', run.err.size() - 2) + 1;
    EXPECT_THAT(run.err.substr(last_line), AllOf(testing::StartsWith("pila-live: "), EndsWith("\n")));
  }
}

TEST_F(Live, StopsWhenItsReaderIsGone) {
  const auto run = test::run_shell(
      PILA_LIVE, "cd '" + folder_.path().string() +
                     "' && { \"$0\" --model model.h5 --source pictures --json -; echo exit $? >&2; } | true");
  EXPECT_THAT(run.err, HasSubstr("pila-live: standard output: was closed by its reader\nexit 1\n"));
}

}  // namespace
}  // namespace pila
