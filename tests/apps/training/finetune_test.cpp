// pila-finetune as its users run it: what it leaves behind, how it goes on, and how it ends on bad input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/media/image.h"
#include "apps/store/store.h"
#include "engine/core/context.h"
#include "tests/apps/process.h"
#include "tests/apps/training/coloured_shapes.h"
#include "weights/checkpoint.h"
#include "weights/load_model.h"
#include "weights/save_weights.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Arguments = std::vector<std::string>;

class Finetune : public testing::Test {
 protected:
  Finetune() { test::draw_shapes(folder_.path() / "shapes", 3, 10); }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string text(const std::string& name) const { return test::read_text(at(name)); }
  bool exists(const std::string& name) const { return fs::exists(at(name)); }

  test::Finished run(const Arguments& arguments) const { return test::run_program(PILA_FINETUNE, arguments); }

  // A run of seconds.
  Arguments quick(const std::string& out, const Arguments& more = {}) const {
    Arguments arguments = {
        "--data",  at("shapes"), "--out",      at(out),     "--weights", "none",    "--width",
        "0.35",    "--size",     "32",         "--batch",   "8",         "--stage", "epochs=2,lr=0.002",
        "--folds", "1",          "--no-refit", "--gradcam", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // The same with another value of an option.
  static Arguments with(Arguments arguments, const std::string& option, const std::string& value) {
    *(std::ranges::find(arguments, option) + 1) = value;
    return arguments;
  }

  test::TemporaryFolder folder_;
};

TEST_F(Finetune, LeavesAModelAReportAndPictures) {
  const test::Finished done = run(quick("run", {"--test", "0.2"}));
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out,
              AllOf(HasSubstr("disc"), HasSubstr("ring"), HasSubstr("square"), HasSubstr("Precision")));
  for (const char* name : {"model.h5", "last.ckpt", "metrics.csv", "report.json", "report.txt",
                           "confusion.png", "curves.png", "augmented.png", "options.json", "split.json"}) {
    EXPECT_TRUE(exists(std::string("run/") + name)) << name;
  }
  EXPECT_FALSE(fs::is_empty(at("run/gradcam")));
  const auto report = nlohmann::json::parse(text("run/report.json"));
  EXPECT_EQ(report.at("classes").size(), 3u);
  EXPECT_EQ(report.at("classes").at("disc").at("images"), 2);  // a fifth of ten

  const Context ctx(Device::cpu(1));
  const LoadedModel model = load_model(ctx, at("run/model.h5"));
  EXPECT_EQ(model.classes, (std::vector<std::string>{"disc", "ring", "square"}));
  EXPECT_EQ(model.preprocessing.height, 32);
  EXPECT_EQ(nlohmann::json::parse(model.recipe).at("width"), 0.35);
  EXPECT_FALSE(model.data_hash.empty());
}

TEST_F(Finetune, AShortTrainingWarmsUpForLess) {
  Arguments arguments = with(quick("run", {"--epochs", "2"}), "--stage", "epochs=8,lr=0.002,warmup=4");
  const test::Finished done = run(arguments);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto options = nlohmann::json::parse(text("run/options.json"));
  EXPECT_EQ(options.at("recipe").at("stages").at(0).at("epochs"), 2);
  EXPECT_EQ(options.at("recipe").at("stages").at(0).at("warmup"), 1);
}

TEST_F(Finetune, SplitListsEveryImageOnce) {
  ASSERT_EQ(run(quick("run", {"--test", "0.2"})).exit_code, 0);
  const auto split = nlohmann::json::parse(text("run/split.json"));
  std::set<std::string> files;
  for (const char* part : {"train", "validation", "test"}) {
    for (const auto& image : split.at(part)) EXPECT_TRUE(files.insert(image.at("file")).second);
  }
  EXPECT_EQ(files.size(), 30u);
}

TEST_F(Finetune, RefitTrainsOnEverything) {
  Arguments arguments = quick("run");
  std::erase(arguments, "--no-refit");
  ASSERT_EQ(run(arguments).exit_code, 0);
  EXPECT_TRUE(exists("run/metrics-refit.csv"));
  EXPECT_THAT(text("run/report.txt"), HasSubstr("all of them"));
}

TEST_F(Finetune, FoldsMeasureEveryImage) {
  Arguments arguments = with(quick("run"), "--folds", "3");
  std::erase(arguments, "--no-refit");
  ASSERT_EQ(run(arguments).exit_code, 0);
  const auto report = nlohmann::json::parse(text("run/report.json"));
  for (const char* name : {"disc", "ring", "square"}) {
    EXPECT_EQ(report.at("classes").at(name).at("images"), 10) << name;
  }
}

// Bytes of the checkpoint that a whole run ends with.
std::string final_state(const std::string& run) { return test::read_text(run + "/last.ckpt"); }

TEST_F(Finetune, KilledAndResumedGivesTheSameBits) {
  const Arguments more = {"--epochs", "6", "--average", "0.9"};
  ASSERT_EQ(run(quick("whole", more)).exit_code, 0);

  std::string line = "\"$0\"";
  for (const std::string& argument : quick("killed", more)) line += " '" + argument + "'";
  // Killed wherever it is by then, several times; a run that is through by then is as good.
  test::run_shell(PILA_FINETUNE, "timeout -s KILL 0.5 " + line + " 2>/dev/null; true");
  for (const char* seconds : {"0.3", "0.6", "0.4"}) {
    if (!exists("killed/last.ckpt")) continue;
    test::run_shell(PILA_FINETUNE, std::string("timeout -s KILL ") + seconds + " \"$0\" --resume '" +
                                       at("killed") + "' 2>/dev/null; true");
  }
  if (exists("killed/last.ckpt")) {
    const test::Finished done = run({"--resume", at("killed")});
    ASSERT_EQ(done.exit_code, 0) << done.err;
  } else {
    fs::remove_all(at("killed"));
    ASSERT_EQ(run(quick("killed", more)).exit_code, 0);
  }
  EXPECT_EQ(final_state(at("killed")), final_state(at("whole")));
  EXPECT_EQ(text("killed/metrics.csv"), text("whole/metrics.csv"));
  EXPECT_EQ(text("killed/report.json"), text("whole/report.json"));
}

TEST_F(Finetune, RecomputingGivesTheSameBitsAndIsNoPartOfTheRun) {
  ASSERT_EQ(run(quick("kept", {"--bn", "batch"})).exit_code, 0);
  const test::Finished done = run(quick("again", {"--bn", "batch", "--recompute"}));
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(final_state(at("again")), final_state(at("kept")));
  EXPECT_EQ(text("again/model.h5"), text("kept/model.h5"));
  EXPECT_EQ(run({"--resume", at("again")}).exit_code, 0);
  EXPECT_EQ(run({"--resume", at("kept"), "--recompute"}).exit_code, 0);
  EXPECT_EQ(final_state(at("kept")), final_state(at("again")));
}

TEST_F(Finetune, InterruptedSaysHowToGoOn) {
  std::string line = "\"$0\"";
  for (const std::string& argument : quick("run", {"--epochs", "5000"})) line += " '" + argument + "'";
  // Waits until it trains, then interrupts it.
  const test::Finished done =
      test::run_shell(PILA_FINETUNE, line + " & while [ ! -e '" + at("run/metrics.csv") +
                                         "' ]; do sleep 0.1; done; kill -INT $!; wait $!");
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("pila-finetune --resume " + at("run")));
  EXPECT_FALSE(exists("run/model.h5"));
  EXPECT_NO_THROW(load_checkpoint(at("run/last.ckpt")));
}

TEST_F(Finetune, ACheckpointThatCannotBeWrittenDoesNotEndTheTraining) {
  std::string line = "\"$0\"";
  for (const std::string& argument : quick("run", {"--epochs", "5000"})) line += " '" + argument + "'";
  // The checkpoint's place is taken by a folder while it trains.
  const test::Finished done = test::run_shell(
      PILA_FINETUNE,
      "cd '" + at("") + "'; " + line +
          " & while [ ! -e run/metrics.csv ]; do sleep 0.1; done; mv run/last.ckpt kept; mkdir -p "
          "run/last.ckpt/x; sleep 0.3; kill -INT $!; wait $!");
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, AllOf(HasSubstr("last.ckpt"), HasSubstr("the training goes on")));
  fs::remove_all(at("run/last.ckpt"));
  fs::rename(at("kept"), at("run/last.ckpt"));
  EXPECT_NO_THROW(load_checkpoint(at("run/last.ckpt")));  // the one before is as it was
}

TEST_F(Finetune, AFullDiskIsSaidBeforeTraining) {
  std::string line = "\"$0\"";
  for (const std::string& argument : quick("run")) line += " '" + argument + "'";
  const test::Finished done = test::run_shell(PILA_FINETUNE, "ulimit -f 64; " + line);
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, AllOf(HasSubstr("File too large"), Not(HasSubstr("epoch"))));
}

TEST_F(Finetune, ResumeOnOtherImagesIsRefused) {
  ASSERT_EQ(run(quick("run")).exit_code, 0);
  fs::remove(at("shapes/disc/3.png"));
  const test::Finished done = run({"--resume", at("run")});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("other images"));
}

TEST_F(Finetune, AClassIsAddedToAModelOfOnesOwn) {
  fs::rename(at("shapes/square"), at("square"));
  ASSERT_EQ(run(quick("two")).exit_code, 0);
  fs::rename(at("square"), at("shapes/square"));
  const Context ctx(Device::cpu(1));
  LoadedModel two = load_model(ctx, at("two/model.h5"));
  two.ranges = {{"Conv_1", {-1, 1}}};
  save_model(ctx, *two.model, two, at("two/int8.h5"));
  const test::Finished done = run(with(quick("three"), "--weights", at("two/int8.h5")));
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.err, AllOf(HasSubstr("knows already: disc, ring"), HasSubstr("New to the model: square")));
  EXPECT_TRUE(load_model(ctx, at("three/model.h5")).ranges.empty()) << "of weights that are others now";
}

TEST_F(Finetune, LearnsFromWhatPeopleLabelled) {
  // Squares are in the store alone.
  {
    const auto store = Store::open({.file = at("belt.sqlite")});
    StoredItem item;
    item.label = "others";
    item.doubtful = true;
    for (const auto& file : fs::directory_iterator(at("shapes/square"))) {
      store->correct(store->add(item, media::load_image(file)), "square");
    }
    store->add(item, media::load_image(at("shapes/disc/0.png")));  // nobody has looked at it
  }
  fs::remove_all(at("shapes/square"));
  const test::Finished done = run(quick("run", {"--data", at("belt.sqlite"), "--test", "0.2"}));
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.err, HasSubstr("belt.sqlite: 10 pictures"));
  const auto report = nlohmann::json::parse(text("run/report.json"));
  EXPECT_EQ(report.at("classes").size(), 3u);
  EXPECT_EQ(report.at("classes").at("square").at("images"), 2);
  EXPECT_FALSE(fs::is_empty(at("run/gradcam")));

  // The store changes beside its belt; the run has what it began with.
  fs::remove(at("belt.sqlite"));
  const std::string model = text("run/model.h5");
  const test::Finished again = run({"--resume", at("run")});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(text("run/model.h5"), model);
}

TEST_F(Finetune, LearnsFromAStoreAlone) {
  const auto store = Store::open({.file = at("belt.sqlite"), .pictures = KeepPictures::all});
  for (const char* name : {"disc", "ring"}) {
    for (const auto& file : fs::directory_iterator(at("shapes/" + std::string(name)))) {
      StoredItem item;
      item.label = name;
      item.probability = file.path().stem() == "0" ? 0.6 : 0.9;
      store->add(item, media::load_image(file));
    }
  }
  const Arguments arguments = with(quick("run", {"--test", "0.4"}), "--data", at("belt.sqlite"));
  const test::Finished unlabelled = run(arguments);
  EXPECT_EQ(unlabelled.exit_code, 1);
  EXPECT_THAT(unlabelled.err, AllOf(HasSubstr("belt.sqlite: "), HasSubstr("labelled")));
  Arguments verdicts = with(arguments, "--out", at("verdicts"));
  verdicts.insert(verdicts.end(), {"--store-verdicts", "0.8"});
  const test::Finished done = run(verdicts);  // while the belt runs on
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.err, HasSubstr("belt.sqlite: 18 pictures"));

  std::ofstream(at("cut.sqlite"), std::ios::binary) << text("belt.sqlite").substr(0, 5000);
  const test::Finished cut = run(with(with(arguments, "--data", at("cut.sqlite")), "--out", at("cut")));
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_THAT(cut.err, HasSubstr("cut.sqlite: "));
  EXPECT_EQ(run(quick("x", {"--store-verdicts", "80"})).exit_code, 2);

  // What goes wrong once the pictures are taken out leaves room for another try.
  const Arguments unknown = {"--store-verdicts", "0.8", "--exclude", "cube"};
  Arguments stores = with(quick("again", unknown), "--data", at("belt.sqlite"));
  EXPECT_EQ(run(stores).exit_code, 1);
  EXPECT_TRUE(fs::is_empty(at("again")));
  stores.insert(stores.end(), {"--data", at("cut.sqlite")});
  EXPECT_EQ(run(stores).exit_code, 1);
  EXPECT_TRUE(fs::is_empty(at("again")));
}

TEST_F(Finetune, RepeatsGiveATableAndGoOn) {
  const test::Finished done = run(quick("runs", {"--repeat", "2"}));
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, AllOf(HasSubstr("2 repeats"), HasSubstr("standard deviation")));
  const std::string table = text("runs/repeats.csv");
  EXPECT_EQ(std::ranges::count(table, '\n'), 3);
  const test::Finished again = run(quick("runs", {"--repeat", "2"}));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(text("runs/repeats.csv"), table);
  EXPECT_EQ(run(quick("runs", {"--repeat", "2", "--dropout", "0.1"})).exit_code, 1);
}

TEST_F(Finetune, SaysWhereTheWeightsLie) {
  const std::string name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5";
  std::ofstream(at(name)) << "only looked for";
  const auto found = test::run_shell(
      PILA_FINETUNE, "PILA_WEIGHTS_DIR='" + at("") + "' \"$0\" --fetch --width 0.35 --size 96");
  EXPECT_EQ(found.exit_code, 0) << found.err;
  EXPECT_EQ(found.out, at(name) + "\n");
  // A proxy where nobody listens: no internet.
  const auto not_found = test::run_shell(PILA_FINETUNE, "https_proxy=http://127.0.0.1:1 HOME='" + at("") +
                                                            "' XDG_CACHE_HOME= PILA_WEIGHTS_DIR= "
                                                            "\"$0\" --fetch --width 0.35 --size 96");
  EXPECT_EQ(not_found.exit_code, 1);
  EXPECT_THAT(not_found.err, AllOf(HasSubstr(name), HasSubstr("without the internet")));
  EXPECT_EQ(not_found.out, "");
}

TEST_F(Finetune, BrokenPhotographsAreNamedAndSkipped) {
  std::ofstream(at("shapes/disc/broken.png")) << "\x89PNG\r\n\x1a\n and no more";
  const test::Finished done = run(quick("run"));
  EXPECT_EQ(done.exit_code, 0);
  EXPECT_THAT(done.err, AllOf(HasSubstr("broken.png"), HasSubstr("1 unreadable file skipped")));
}

TEST_F(Finetune, FewerImagesThanABatch) {
  test::draw_shapes(folder_.path() / "few", 2, 3);
  EXPECT_EQ(run(with(with(quick("run"), "--data", at("few")), "--batch", "64")).exit_code, 0);
}

TEST_F(Finetune, WrongUsage) {
  const auto misused = [&](const Arguments& arguments, const std::string& message) {
    const test::Finished done = run(arguments);
    EXPECT_EQ(done.exit_code, 2) << message;
    EXPECT_THAT(done.err, HasSubstr(message));
    EXPECT_EQ(std::ranges::count(done.err, '\n'), 1) << done.err;
  };
  misused({}, "--data and --out");
  misused({"--fetch", "--weights", "none"}, "--fetch");
  misused(quick("run", {"--recipe", "bets"}), "battery-mobilenetv2");
  misused(quick("run", {"--stage", "epoch=3"}), "'epoch'");
  misused(quick("run", {"--lr", "fast"}), "'fast'");
  misused(quick("run", {"--validation", "1.5"}), "--validation");
  misused(quick("run", {"--augment", "nothing.json"}), "nothing.json");
  misused(quick("run", {"--freeze", "3", "--trainable-last", "3"}), "--freeze");
  EXPECT_FALSE(exists("run"));
}

TEST_F(Finetune, BadData) {
  const auto fails = [&](const Arguments& arguments, const std::string& message) {
    const test::Finished done = run(arguments);
    EXPECT_EQ(done.exit_code, 1) << message;
    EXPECT_THAT(done.err, HasSubstr(message));
  };
  fails(with(quick("a"), "--data", at("nowhere")), at("nowhere"));
  fails(quick("b", {"--exclude", "disc", "--exclude", "ring"}), "class");
  fails(quick("c", {"--exclude", "triangle"}), "triangle");
  fs::create_directories(at("shapes/empty"));
  fails(quick("d"), "empty");
  fs::remove(at("shapes/empty"));
  fails(with(quick("e"), "--weights", at("nothing.h5")), "nothing.h5");
  ASSERT_EQ(run(quick("narrow")).exit_code, 0);
  fails(with(with(quick("f"), "--weights", at("narrow/model.h5")), "--width", "0.5"), "width");
}

TEST_F(Finetune, ADeviceThatIsMissingLeavesNothingBehind) {
  const test::Finished done = run(quick("run", {"--device", "cuda:99"}));
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("cuda:99"));
  EXPECT_FALSE(exists("run"));
}

TEST_F(Finetune, WhatTheDeviceDoesNotTrainInIsRefused) {
  for (const std::string precision : {"bfloat16", "int8"}) {
    const test::Finished done = run(quick("run", {"--precision", precision}));
    EXPECT_EQ(done.exit_code, 2);
    EXPECT_THAT(done.err, HasSubstr("float32"));
    EXPECT_FALSE(exists("run"));
  }
  EXPECT_EQ(run(quick("run", {"--precision", "float32"})).exit_code, 0);
}

TEST_F(Finetune, AFullRunFolderIsNotTouched) {
  fs::create_directories(at("run"));
  std::ofstream(at("run/precious.txt")) << "mine";
  EXPECT_EQ(run(quick("run")).exit_code, 1);
  EXPECT_EQ(text("run/precious.txt"), "mine");
  ASSERT_EQ(run(quick("other")).exit_code, 0);
  const test::Finished again = run(quick("other"));
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("--resume"));
}

}  // namespace
}  // namespace pila
