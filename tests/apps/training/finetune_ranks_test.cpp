// pila-finetune in several processes, as mpirun starts them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "engine/core/context.h"
#include "tests/apps/process.h"
#include "tests/apps/training/coloured_shapes.h"
#include "tests/support/compare.h"
#include "weights/checkpoint.h"
#include "weights/load_model.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Arguments = std::vector<std::string>;

class FinetuneRanks : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string(PILA_MPIRUN).empty()) GTEST_SKIP() << "this build has no MPI, or there is no mpirun";
    // Open MPI: as any user, and with more processes than there are cores.
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
    setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe", 1);
    setenv("CUDA_VISIBLE_DEVICES", "", 1);  // what is expected holds with GPUs, too
    test::draw_shapes(folder_.path() / "shapes", 3, 10);
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string text(const std::string& name) const { return test::read_text(at(name)); }

  test::Finished run(int processes, const Arguments& arguments) const {
    Arguments all = {"-n", std::to_string(processes), PILA_FINETUNE};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return test::run_program(PILA_MPIRUN, all);
  }

  // A run of a second. The head alone learns: see ranks_test.cpp for why that can be compared.
  Arguments quick(const std::string& out, const Arguments& more = {}) const {
    Arguments arguments = {"--data",     at("shapes"),
                           "--out",      at(out),
                           "--weights",  "none",
                           "--width",    "0.35",
                           "--size",     "32",
                           "--batch",    "8",
                           "--stage",    "epochs=2,lr=0.002,trainable-last=0",
                           "--folds",    "1",
                           "--no-refit", "--gradcam",
                           "2",          "--threads",
                           "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // Starts three processes that train for long, and puts their numbers into rank.N; then runs the rest of the
  // line.
  test::Finished start_and(const std::string& rest, const std::string& epochs) const {
    std::string line =
        "cd '" + at("") +
        "'; " PILA_MPIRUN
        " -n 3 sh -c 'echo $$ > rank.${OMPI_COMM_WORLD_RANK:-$PMI_RANK}; exec \"$0\" \"$@\"' \"$0\"";
    for (const std::string& argument : quick("run", {"--label-smoothing", "0.1"})) {
      line += " '" + (argument.starts_with("epochs=2") ? "epochs=" + epochs + argument.substr(8) : argument) +
              "'";
    }
    return test::run_shell(
        PILA_FINETUNE, line + " & while [ ! -e run/metrics.csv ]; do sleep 0.1; done; " + rest + "; wait $!");
  }

  std::vector<float> weights(const std::string& run) const {
    const Context ctx(Device::cpu(1));
    const LoadedModel model = load_model(ctx, at(run + "/model.h5"));
    std::vector<float> values;
    for (const Layer* layer : model.model->layers()) {
      for (const Parameter& parameter : layer->parameters()) {
        const auto more = parameter.value.to_vector<float>(ctx);
        values.insert(values.end(), more.begin(), more.end());
      }
    }
    return values;
  }

  test::TemporaryFolder folder_;
};

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_F(FinetuneRanks, LeaveWhatOneLeaves) {
  const test::Finished plain = test::run_program(PILA_FINETUNE, quick("plain"));
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  for (const int processes : {1, 2, 3}) {
    const std::string name = "run" + std::to_string(processes);
    const test::Finished done = run(processes, quick(name));
    ASSERT_EQ(done.exit_code, 0) << done.err;
    EXPECT_EQ(times(done.err, "30 images of 3 classes"), 1u) << done.err;
    EXPECT_EQ(times(done.err, "epoch 2/2"), 1u) << done.err;
    EXPECT_EQ(times(done.out, "Precision"), 1u) << done.out;
    EXPECT_TRUE(test::close_by_norm(weights(name), weights("plain"), 1e-6)) << processes << " processes";
    std::set<std::string> files, expected;
    for (const auto& entry : fs::directory_iterator(at(name))) {
      if (!entry.path().filename().string().starts_with("events")) files.insert(entry.path().filename());
    }
    for (const auto& entry : fs::directory_iterator(at("plain"))) {
      if (!entry.path().filename().string().starts_with("events")) expected.insert(entry.path().filename());
    }
    EXPECT_EQ(files, expected);
  }
  EXPECT_EQ(text("run1/last.ckpt"), text("plain/last.ckpt"));
  ASSERT_EQ(run(3, quick("again")).exit_code, 0);
  EXPECT_EQ(text("again/last.ckpt"), text("run3/last.ckpt"));
  EXPECT_EQ(text("again/report.json"), text("run3/report.json"));
}

TEST_F(FinetuneRanks, TakeTheProcessorWhereThereIsNoGpu) {
  const test::Finished done = run(2, quick("run", {"--device", "auto"}));
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(times(done.err, "computing on the processor: process 0, which takes GPU 0"), 1u) << done.err;
  EXPECT_EQ(times(done.err, "2 processes, one thread here"), 1u) << done.err;
}

TEST_F(FinetuneRanks, TrainAWholeNetworkInFoldsAndRepeats) {
  Arguments arguments = quick("run", {"--bn", "batch-recalibrate", "--monitor", "loss", "--average", "0.9"});
  std::erase(arguments, "--no-refit");
  *(std::ranges::find(arguments, "--stage") + 1) = "epochs=2,lr=0.002,patience=1";
  *(std::ranges::find(arguments, "--folds") + 1) = "2";
  const test::Finished done = run(2, arguments);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto report = nlohmann::json::parse(text("run/report.json"));
  EXPECT_EQ(report.at("classes").at("disc").at("images"), 10);

  const test::Finished repeats = run(2, quick("runs", {"--repeat", "2"}));
  ASSERT_EQ(repeats.exit_code, 0) << repeats.err;
  EXPECT_EQ(times(repeats.out, "2 repeats"), 1u);
  EXPECT_EQ(times(text("runs/repeats.csv"), "\n"), 3u);
}

TEST_F(FinetuneRanks, ALostOneEndsAllAndTheRunGoesOn) {
  const test::Finished lost = start_and("kill -KILL $(cat rank.1)", "60");
  EXPECT_NE(lost.exit_code, 0);
  ASSERT_FALSE(fs::exists(at("run/model.h5"))) << "it was through before it was killed: " << lost.err;
  EXPECT_NO_THROW(load_checkpoint(at("run/last.ckpt")));
  for (const char* rank : {"rank.0", "rank.2"}) {
    EXPECT_FALSE(fs::exists("/proc/" + std::to_string(std::stoi(text(rank))) + "/exe"))
        << rank << " is still there";
  }
  const test::Finished done = run(3, {"--resume", at("run"), "--threads", "1"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_TRUE(fs::exists(at("run/model.h5")));
}

TEST_F(FinetuneRanks, StopTogetherWhenOneIsToldTo) {
  const test::Finished done = start_and("kill -TERM $(cat rank.1)", "100000");
  EXPECT_NE(done.exit_code, 0);
  EXPECT_EQ(times(done.err, "pila-finetune: "), 1u) << done.err;
  EXPECT_EQ(times(done.err, "pila-finetune --resume " + at("run")), 1u) << done.err;
  EXPECT_FALSE(fs::exists(at("run/model.h5")));
  EXPECT_GT(load_checkpoint(at("run/last.ckpt")).integer("step"), 0);
}

// mpirun gives its processes a second, which a busy machine may not have for them.
TEST_F(FinetuneRanks, AnInterruptedMpirunLeavesTheCheckpoint) {
  for (const char* signal : {"INT", "TERM"}) {
    fs::remove_all(at("run"));
    const test::Finished done = start_and("kill -" + std::string(signal) + " $!", "100000");
    EXPECT_NE(done.exit_code, 0);
    EXPECT_FALSE(fs::exists(at("run/model.h5")));
    EXPECT_NO_THROW(load_checkpoint(at("run/last.ckpt")));
  }
}

TEST_F(FinetuneRanks, SayOnceWhatIsWrong) {
  const auto fails = [&](const Arguments& arguments, int exit_code, const std::string& message) {
    const test::Finished done = run(3, arguments);
    EXPECT_EQ(done.exit_code, exit_code) << done.err;
    EXPECT_EQ(times(done.err, "pila-finetune: "), 1u) << done.err;
    EXPECT_THAT(done.err, HasSubstr(message));
  };
  fails({}, 2, "--data and --out");
  fails(quick("run", {"--seed", "many"}), 2, "--seed");
  fails(quick("run", {"--device", "cuda:0"}), 2, "a GPU of its own");
  fails(quick("run", {"--device", "cuda"}), 1, "--device cuda: process 0, which takes GPU 0 of its machine");
  fails(quick("run", {"--exclude", "triangle"}), 1, "triangle");
  fails({"--resume", at("nowhere")}, 1, "no run to go on with");
  fs::create_directories(at("full/x"));
  fails(quick("full"), 1, "empty or new folder");
  // With this rate and decay weights grow a hundredfold in a step.
  Arguments wild = quick("wild", {"--weight-decay", "10"});
  *(std::ranges::find(wild, "--stage") + 1) = "epochs=30,lr=10";
  fails(wild, 1, "infinite or not a number");
  Arguments few = quick("few", {"--bn", "batch"});
  *(std::ranges::find(few, "--batch") + 1) = "2";
  fails(few, 2, "larger --batch");
  EXPECT_EQ(times(run(3, {"--help"}).out, "Usage"), 1u);
}

// The first process runs `first` before its own program, the other two run with `others` for data and with
// `more` options.
class FinetuneUnlikeRanks : public FinetuneRanks {
 protected:
  test::Finished run_unlike(const std::string& first, const std::string& others,
                            const std::string& more = {}) const {
    std::string line = PILA_MPIRUN " -n 1 sh -c '" + first + "exec \"$0\" \"$@\"' \"$0\"",
                rest = " : -n 2 \"$0\"";
    for (const std::string& argument : quick("run")) {
      line += " '" + argument + "'";
      rest += " '" + (argument == at("shapes") ? others : argument) + "'";
    }
    return test::run_shell(PILA_FINETUNE, line + rest + " " + more);
  }
};

TEST_F(FinetuneUnlikeRanks, OtherOptionsAreRefused) {
  const test::Finished done = run_unlike("", at("nothing"));
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_EQ(times(done.err, "pila-finetune: "), 1u) << done.err;
  EXPECT_THAT(done.err, AllOf(HasSubstr("same options"), Not(HasSubstr("epoch"))));

  const test::Finished recomputing = run_unlike("", at("shapes"), "--recompute");
  EXPECT_EQ(recomputing.exit_code, 1);
  EXPECT_THAT(recomputing.err, AllOf(HasSubstr("same --recompute"), Not(HasSubstr("epoch"))));
}

TEST_F(FinetuneUnlikeRanks, AFullDiskOfTheFirstEndsAll) {
  const test::Finished done = run_unlike("ulimit -f 64; ", at("shapes"));
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_EQ(times(done.err, "pila-finetune: "), 1u) << done.err;
  EXPECT_THAT(done.err, AllOf(HasSubstr("File too large"), Not(HasSubstr("epoch"))));
}

}  // namespace
}  // namespace pila
