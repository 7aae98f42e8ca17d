// Several ranks train as one process does with the whole batch; here the ranks are threads.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "apps/training/data_set.h"
#include "apps/training/end_together.h"
#include "apps/training/start_model.h"
#include "apps/training/trainer.h"
#include "engine/core/error.h"
#include "engine/parallel/nccl_sum.h"
#include "tests/apps/process.h"
#include "tests/apps/training/all_values.h"
#include "tests/apps/training/coloured_shapes.h"
#include "tests/support/compare.h"
#include "tests/support/thread_ranks.h"
#include "weights/save_weights.h"

namespace pila {
namespace {

void say_nothing(const std::string&) {}

// Everything that a step of training knows.
FineTuneOptions all_at_once(const std::filesystem::path& data) {
  FineTuneOptions options;
  options.data = {data};
  options.weights = "none";
  options.width = 0.35;
  options.size = 32;
  options.validation = 0.25;
  Recipe& recipe = options.recipe;
  recipe.stages = {parse_stage("epochs=1,lr=0.001,trainable-last=0"),
                   parse_stage("epochs=1,lr=0.0005,schedule=cosine,warmup=1,blend=0.8")};
  recipe.batch = 8;
  recipe.average = 0.9;
  recipe.clip_norm = 1;
  recipe.balanced = true;
  recipe.label_smoothing = 0.1;
  recipe.monitor = Monitor::loss;
  recipe.augmentation.flip_horizontal = true;
  recipe.augmentation.rotation = 0.05;
  recipe.augmentation.pixel_dropout = 0.01;
  return options;
}

struct Trained {
  std::vector<float> values;
  std::vector<MetricRow> rows;
  Checkpoint checkpoint;
  bool complete = false;
};

class RanksTest : public testing::Test {
 protected:
  RanksTest() {
    test::draw_shapes(folder_.path() / "shapes", 3, 10);
    options_ = all_at_once(folder_.path() / "shapes");
    const Context ctx(Device::cpu(1));
    const StartModel start(ctx, options_, nullptr);
    data_ = read_data_set(options_, start.size(), say_nothing, {});
    division_ = divide(data_, options_, say_nothing);

    // Random weights with statistics that fit them: with frozen ones nothing would come through so many
    // layers.
    const auto model = start.make(data_.classes, 1, say_nothing);
    const Round& round = division_.rounds[0];
    recalibrate_on(ctx, *model, start.preprocessing(),
                   {data_.cache.get(), data_.classes, data_.labels, round.train, round.held_out}, round.train,
                   1);
    ModelDescription description;
    description.preprocessing = start.preprocessing();
    description.classes = data_.classes;
    options_.weights = (folder_.path() / "start.h5").string();
    save_model(ctx, *model, description, options_.weights);
  }

  // A rank's whole training.
  Trained train(const Context& ctx, const std::function<bool()>& stop,
                const Checkpoint* from = nullptr) const {
    const StartModel start(ctx, options_, nullptr);
    const auto model = start.make(data_.classes, options_.seed, say_nothing);
    const Round& round = division_.rounds[0];
    Trainer trainer(ctx, *model, start.preprocessing(), options_.recipe,
                    {data_.cache.get(), data_.classes, data_.labels, round.train, round.held_out},
                    options_.seed, 1);
    if (from != nullptr) trainer.restore(*from);
    Trained trained;
    TrainerHooks hooks;
    hooks.progress = [](std::int64_t) {};
    hooks.epoch = [&](const MetricRow& row) { trained.rows.push_back(row); };
    hooks.save = [](bool) {};
    hooks.stop = stop;
    hooks.note = say_nothing;
    trained.complete = trainer.run(hooks);
    trained.values = test::all_values(ctx, *model);
    trainer.save(trained.checkpoint);
    return trained;
  }

  Trained train_on(int size, const Checkpoint* from = nullptr) const {
    return train_first_steps(size, -1, from);
  }

  // What all ranks have in the end, or after so many steps; they have the same bits.
  Trained train_first_steps(int size, int steps, const Checkpoint* from = nullptr) const {
    std::vector<Trained> all(static_cast<std::size_t>(size));
    test::on_ranks(size, [&](Communicator& ranks) {
      const Context ctx = Context(Device::cpu(1)).with_ranks(ranks).with_recomputation(recomputes_);
      int done = 0;
      all[static_cast<std::size_t>(ranks.rank())] = train(
          ctx, [&] { return ++done == steps; }, from);
    });
    for (const Trained& other : all) {
      EXPECT_EQ(other.values, all[0].values);
      EXPECT_EQ(other.rows.size(), all[0].rows.size());
    }
    return all[0];
  }

  // Of Adam: after one step, a share of the gradient.
  static std::vector<float> first_moments(const Trained& trained) {
    const Context ctx(Device::cpu(1));
    std::vector<float> moments;
    for (int i = 0;; ++i) {
      const auto found = trained.checkpoint.arrays.find("adam first " + std::to_string(i));
      if (found == trained.checkpoint.arrays.end()) return moments;
      const Tensor tensor = Tensor::empty(ctx, found->second.spec);
      trained.checkpoint.get(ctx, found->first, tensor);
      const auto more = tensor.to_vector<float>(ctx);
      moments.insert(moments.end(), more.begin(), more.end());
    }
  }

  // Ranks round other sums than one process does. A head's training stays as near as that.
  void expect_the_same_head(int size) {
    options_.recipe.stages = {parse_stage("epochs=3,lr=0.001,trainable-last=0")};
    const Trained one = train_on(1), several = train_on(size);
    ASSERT_EQ(several.rows.size(), 3u);
    for (std::size_t i = 0; i < one.rows.size(); ++i) {
      for (const auto& [name, value] : one.rows[i].values) {
        const bool counted = name.find("accuracy") != std::string::npos;  // an image may lie on the edge
        EXPECT_NEAR(several.rows[i].values.at(name), value, counted ? 0.1 : 1e-4)
            << name << " of epoch " << i;
      }
    }
    EXPECT_TRUE(test::close_by_norm(several.values, one.values, 1e-6)) << size << " ranks";
    EXPECT_EQ(train_on(size).values, several.values) << "the same bits, again";
  }

  // Through the whole network a gradient can jump where an activation lies on its edge, and Adam's steps are
  // as large for small gradients as for large ones: trainings part within a few steps, as do those of one
  // process whose weights begin one rounding apart. So it is the first gradient that is compared.
  void expect_the_same_gradient(int size, double tolerance) {
    options_.recipe.stages = {parse_stage("epochs=1,lr=0.0005")};
    const auto one = first_moments(train_first_steps(1, 1)),
               several = first_moments(train_first_steps(size, 1));
    ASSERT_GT(one.size(), 100'000u);
    EXPECT_TRUE(test::close_by_norm(several, one, tolerance)) << size << " ranks";
  }

  test::TemporaryFolder folder_;
  FineTuneOptions options_;
  bool recomputes_ = false;
  DataSet data_;
  Division division_;
};

TEST_F(RanksTest, TrainAsOneDoes) {
  for (const int size : {2, 3}) {
    expect_the_same_head(size);
    expect_the_same_gradient(size, 0.03);
  }
}

TEST_F(RanksTest, MixPicturesOfTheWholeBatch) {
  options_.recipe.augmentation.mixup = 1;
  expect_the_same_head(3);
  expect_the_same_gradient(3, 0.03);
}

TEST_F(RanksTest, GoByTheWholeBatchsStatistics) {
  options_.recipe.norm = NormMode::batch;
  expect_the_same_gradient(3, 0.03);
  options_.recipe.norm = NormMode::batch_recalibrate;
  EXPECT_EQ(train_on(3).values, train_on(3).values) << "the same bits, again";
}

TEST_F(RanksTest, ComputeBlocksAgainTogether) {
  options_.recipe.norm = NormMode::batch;
  const Trained kept = train_on(3);
  recomputes_ = true;
  EXPECT_EQ(train_on(3).values, kept.values);
}

TEST_F(RanksTest, SumThroughNcclToTheSameBits) {
  options_.recipe.norm = NormMode::batch;
  const auto nccl = std::make_shared<const Nccl>(PILA_FAKE_NCCL);
  std::vector<float> values;
  test::on_ranks(3, [&](Communicator& ranks) {
    const auto device = Device::cpu(1);
    ranks.sum_tensors_by(std::make_unique<NcclSum>(nccl, ranks, device));
    const Trained trained = train(Context(device).with_ranks(ranks), [] { return false; });
    if (ranks.first()) values = trained.values;
  });
  EXPECT_EQ(values, train_on(3).values);
}

TEST_F(RanksTest, MeasureStatisticsAnewTogether) {
  for (const NormMode norm : {NormMode::recalibrate, NormMode::batch_recalibrate}) {
    options_.recipe.norm = norm;
    options_.recipe.stages = {parse_stage("epochs=2,lr=0")};
    EXPECT_TRUE(test::close_by_norm(train_on(3).values, train_on(1).values, 1e-6));
  }
}

TEST_F(RanksTest, SomeHaveNothingToDo) {
  options_.recipe.batch = 2;
  options_.recipe.augmentation.mixup = 0.5;
  expect_the_same_head(3);
  expect_the_same_gradient(3, 0.03);
}

TEST_F(RanksTest, BatchStatisticsNeedAnImageOnEachRank) {
  options_.recipe.norm = NormMode::batch;
  options_.recipe.batch = 2;
  EXPECT_THROW(train_on(3), UsageError);
}

TEST_F(RanksTest, StopWhenOneIsToldToAndGoOnWithAnotherNumber) {
  options_.recipe.stages = {parse_stage("epochs=3,lr=0.001,trainable-last=0")};
  const Trained whole = train_on(1);
  Checkpoint checkpoint;
  test::on_ranks(3, [&](Communicator& ranks) {
    int batches = 0;
    const auto stop = [&] { return ++batches == 5 && ranks.rank() == 1; };
    const Trained trained = train(Context(Device::cpu(1)).with_ranks(ranks), stop);
    EXPECT_FALSE(trained.complete);
    EXPECT_EQ(trained.checkpoint.integer("step"), 5);
    if (ranks.first()) checkpoint = trained.checkpoint;
  });
  for (const int size : {1, 2}) {
    const Trained rest = train_on(size, &checkpoint);
    EXPECT_TRUE(rest.complete);
    EXPECT_TRUE(test::close_by_norm(rest.values, whole.values, 1e-6)) << "on " << size;
  }
}

TEST_F(RanksTest, ALossThatIsNoNumberOnOneStopsAllInTheSameStep) {
  test::on_ranks(3, [&](Communicator& ranks) {
    const Context ctx = Context(Device::cpu(1)).with_ranks(ranks);
    const StartModel start(ctx, options_, nullptr);
    const auto model = start.make(data_.classes, 1, say_nothing);
    StepOptions step_options;
    step_options.preprocessing = start.preprocessing();
    set_batch_statistics(*model, false);
    TrainingStep step(ctx, *model, std::move(step_options));
    const std::vector<float> before = test::all_values(ctx, *model);
    if (ranks.rank() == 2) {
      const Tensor& bias = model->find_layer("predictions")->parameters()[1].value;
      const std::vector<float> none(3, std::numeric_limits<float>::quiet_NaN());
      bias.assign(ctx, std::span<const float>(none));
    }
    const std::vector<std::uint8_t> pixels(32 * 32 * 3, 100);
    const std::vector<std::int32_t> labels = {1};
    const auto result = step.run({pixels, 32, 32, labels, ranks.rank(), 1, 3}, 0.1, 0);
    EXPECT_FALSE(result.finite);
    EXPECT_EQ(test::all_values(ctx, *model) == before, ranks.rank() != 2);
  });
}

// A rank that meets the others, or does not.
class MeetingRank : public SingleProcess {
 public:
  explicit MeetingRank(std::optional<std::string> words) : words_(std::move(words)) {}
  int rank() const override { return 1; }
  int size() const override { return 2; }
  std::optional<std::string> meet(const std::string&, std::chrono::milliseconds) override { return words_; }
  [[noreturn]] void abort(int exit_code) override { throw exit_code; }

 private:
  std::optional<std::string> words_;
};

TEST(EndTogether, SaysOnceWhatAllSay) {
  const auto fail = []() -> int { throw UsageError("no such thing"); };
  const auto said = [&](std::optional<std::string> others) {
    MeetingRank ranks(std::move(others));
    testing::internal::CaptureStderr();
    EXPECT_THROW(end_together(ranks, "pila", fail), UsageError);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said("no such thing"), "");
  EXPECT_EQ(said("another thing"), "pila: process 1: no such thing\n");

  MeetingRank lonely(std::nullopt);
  testing::internal::CaptureStderr();
  EXPECT_THROW(end_together(lonely, "pila", fail), int) << "it ends all";
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "pila: process 1: no such thing\n");
  EXPECT_EQ(end_together(lonely, "pila", [] { return 7; }), 7);
}

}  // namespace
}  // namespace pila
