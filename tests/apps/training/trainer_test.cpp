// The trainer: it learns, repeats itself to the bit, and goes on from any batch as if nothing had happened.
#include "apps/training/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "apps/report/evaluation.h"
#include "apps/training/data_set.h"
#include "apps/training/predict_cached.h"
#include "apps/training/start_model.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"
#include "tests/apps/training/all_values.h"
#include "tests/apps/training/coloured_shapes.h"

namespace pila {
namespace {

constexpr int kImages = 12;  // of each of three classes

FineTuneOptions small_options(const std::filesystem::path& data) {
  FineTuneOptions options;
  options.data = {data};
  options.weights = "none";
  options.width = 0.35;
  options.size = 32;
  options.validation = 0.25;
  options.recipe.stages = {parse_stage("epochs=1,lr=0.01,trainable-last=0"),
                           parse_stage("epochs=3,lr=0.002,schedule=cosine,warmup=1,blend=0.8")};
  options.recipe.batch = 8;
  options.recipe.average = 0.9;
  options.recipe.clip_norm = 1;
  options.recipe.norm = NormMode::batch;
  options.recipe.augmentation.flip_horizontal = true;
  options.recipe.augmentation.rotation = 0.05;
  options.recipe.augmentation.mixup = 0.2;
  return options;
}

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() {
    test::draw_shapes(folder_.path(), 3, kImages);
    use(small_options(folder_.path()));
  }

  void use(const FineTuneOptions& options) {
    options_ = options;
    start_.emplace(ctx_, options_, nullptr);
    data_ = read_data_set(options_, start_->size(), [](const std::string&) {}, {});
    division_ = divide(data_, options_, [](const std::string&) {});
  }

  std::unique_ptr<Model> new_model() const {
    return start_->make(data_.classes, options_.seed, [](const std::string&) {});
  }

  Trainer trainer_for(Model& model, const Context& ctx) const {
    const Round& round = division_.rounds[0];
    return {ctx,
            model,
            start_->preprocessing(),
            options_.recipe,
            {data_.cache.get(), data_.classes, data_.labels, round.train, round.held_out},
            options_.seed,
            2};
  }

  TrainerHooks hooks() {
    TrainerHooks hooks;
    hooks.progress = [](std::int64_t) {};
    hooks.epoch = [this](const MetricRow& row) { rows_.push_back(row); };
    hooks.save = [](bool) {};
    hooks.stop = [] { return false; };
    hooks.note = [](const std::string&) {};
    return hooks;
  }

  test::TemporaryFolder folder_;
  Context ctx_{Device::cpu(2)};
  FineTuneOptions options_;
  std::optional<StartModel> start_;
  DataSet data_;
  Division division_;
  std::vector<MetricRow> rows_;
};

TEST_F(TrainerTest, LearnsShapes) {
  FineTuneOptions options = small_options(folder_.path());
  options.recipe.stages = {parse_stage("epochs=40,lr=0.005,schedule=cosine,warmup=2")};
  options.recipe.augmentation = {};
  options.recipe.dropout = 0;
  options.recipe.batch = 32;
  options.size = 64;
  use(options);
  const auto model = new_model();
  ASSERT_TRUE(trainer_for(*model, ctx_).run(hooks()));
  ASSERT_EQ(rows_.size(), 40u);
  // Guessing gives a loss of log 3 and a third of them right.
  EXPECT_LT(rows_.back().values.at("loss"), 0.5);
  EXPECT_GT(rows_.back().values.at("accuracy"), 0.85);
}

TEST_F(TrainerTest, RepeatsItselfToTheBitAtAnyNumberOfThreads) {
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3}) {
    const Context ctx(Device::cpu(threads));
    const StartModel start(ctx, options_, nullptr);
    const auto model = start.make(data_.classes, options_.seed, [](const std::string&) {});
    ASSERT_TRUE(trainer_for(*model, ctx).run(hooks()));
    results.push_back(test::all_values(ctx, *model));
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST_F(TrainerTest, ComputingBlocksAgainChangesNothing) {
  for (const NormMode mode : {NormMode::batch, NormMode::frozen}) {
    options_.recipe.norm = mode;
    const auto kept = new_model(), again = new_model();
    ASSERT_TRUE(trainer_for(*kept, ctx_).run(hooks()));
    const std::vector<MetricRow> expected_rows = std::exchange(rows_, {});
    ASSERT_TRUE(trainer_for(*again, ctx_.with_recomputation(true)).run(hooks()));
    EXPECT_EQ(test::all_values(ctx_, *again), test::all_values(ctx_, *kept));
    ASSERT_EQ(rows_.size(), expected_rows.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) EXPECT_EQ(rows_[i].values, expected_rows[i].values);
    rows_.clear();
  }
}

TEST_F(TrainerTest, GoesOnFromEveryBatchAsIfNothingHadHappened) {
  FineTuneOptions options = small_options(folder_.path());
  options.recipe.monitor = Monitor::loss;  // the best epoch's weights are kept, and must survive too
  use(options);
  const auto whole = new_model();
  ASSERT_TRUE(trainer_for(*whole, ctx_).run(hooks()));
  const std::vector<float> expected = test::all_values(ctx_, *whole);
  const std::vector<MetricRow> expected_rows = std::exchange(rows_, {});

  for (int stop_after = 1; stop_after <= 14; stop_after += 3) {
    Checkpoint checkpoint;
    {
      const auto model = new_model();
      Trainer trainer = trainer_for(*model, ctx_);
      TrainerHooks stopping = hooks();
      int batches = 0;
      stopping.stop = [&] { return ++batches >= stop_after; };
      stopping.save = [&](bool) {
        checkpoint = {};
        trainer.save(checkpoint);
      };
      EXPECT_FALSE(trainer.run(stopping));
    }
    const auto model = new_model();
    Trainer trainer = trainer_for(*model, ctx_);
    trainer.restore(checkpoint);
    ASSERT_TRUE(trainer.run(hooks()));
    EXPECT_EQ(test::all_values(ctx_, *model), expected) << "stopped after " << stop_after;
    ASSERT_EQ(rows_.size(), expected_rows.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) EXPECT_EQ(rows_[i].values, expected_rows[i].values);
    rows_.clear();
  }
}

TEST_F(TrainerTest, HeadStageLeavesTheBackboneAlone) {
  options_.recipe.stages.resize(1);
  const auto model = new_model();
  const auto before = model->find_layer("Conv1")->parameters()[0].value.to_vector<float>(ctx_);
  const auto mean = model->find_layer("bn_Conv1")->parameters()[2].value.to_vector<float>(ctx_);
  const auto head = model->find_layer("predictions")->parameters()[0].value.to_vector<float>(ctx_);
  ASSERT_TRUE(trainer_for(*model, ctx_).run(hooks()));
  EXPECT_EQ(model->find_layer("Conv1")->parameters()[0].value.to_vector<float>(ctx_), before);
  EXPECT_EQ(model->find_layer("bn_Conv1")->parameters()[2].value.to_vector<float>(ctx_), mean);
  EXPECT_NE(model->find_layer("predictions")->parameters()[0].value.to_vector<float>(ctx_), head);
}

TEST_F(TrainerTest, FrozenStatisticsStayAndRecalibratedOnesMove) {
  for (const NormMode mode : {NormMode::frozen, NormMode::recalibrate}) {
    options_.recipe.norm = mode;
    const auto model = new_model();
    const auto& statistics = model->find_layer("bn_Conv1")->parameters()[2].value;
    const auto before = statistics.to_vector<float>(ctx_);
    ASSERT_TRUE(trainer_for(*model, ctx_).run(hooks()));
    EXPECT_EQ(statistics.to_vector<float>(ctx_) == before, mode == NormMode::frozen);
  }
}

TEST_F(TrainerTest, BatchStatisticsCanBeMeasuredAnew) {
  options_.recipe.norm = NormMode::batch_recalibrate;
  const auto model = new_model();
  ASSERT_TRUE(trainer_for(*model, ctx_).run(hooks()));
  const auto trained = test::all_values(ctx_, *model);
  const Round& round = division_.rounds[0];
  recalibrate_on(ctx_, *model, start_->preprocessing(),
                 {data_.cache.get(), data_.classes, data_.labels, round.train, round.held_out}, round.train,
                 1);
  EXPECT_EQ(test::all_values(ctx_, *model), trained) << "they are the training images' own already";

  options_.recipe.norm = NormMode::batch;
  const auto other = new_model();
  ASSERT_TRUE(trainer_for(*other, ctx_).run(hooks()));
  const auto kernel_of = [&](const Model& of) {
    return of.find_layer("Conv_1")->parameters()[0].value.to_vector<float>(ctx_);
  };
  EXPECT_EQ(kernel_of(*other), kernel_of(*model)) << "measuring changes nothing that is learned";
  EXPECT_NE(test::all_values(ctx_, *other), trained);
}

TEST_F(TrainerTest, BlendingLiesBetweenTheWeightsBeforeAndAfter) {
  options_.recipe.norm = NormMode::frozen;
  const auto start = test::all_values(ctx_, *new_model());
  const auto train = [&](double blend, Monitor monitor) {
    options_.recipe.stages = {parse_stage("epochs=2,lr=0.01")};
    options_.recipe.stages[0].blend = blend;
    options_.recipe.monitor = monitor;
    const auto model = new_model();
    EXPECT_TRUE(trainer_for(*model, ctx_).run(hooks()));
    return test::all_values(ctx_, *model);
  };
  EXPECT_EQ(train(0, Monitor::none), start);
  const auto trained = train(1, Monitor::none);
  ASSERT_NE(trained, start);
  const auto blended = train(0.75, Monitor::none);
  for (std::size_t i = 0; i < start.size(); ++i) {
    // One rounding of each product and of the sum.
    EXPECT_NEAR(blended[i], 0.25 * start[i] + 0.75 * trained[i], 3e-7 * (1 + std::abs(start[i])));
  }

  // What a look at validation sees, and keeps, is blended, too.
  rows_.clear();
  EXPECT_EQ(train(0, Monitor::loss), start);
  EXPECT_EQ(rows_[0].values.at("val_loss"), rows_[1].values.at("val_loss"));
}

TEST_F(TrainerTest, PatienceEndsAStage) {
  options_.recipe.monitor = Monitor::accuracy;
  options_.recipe.stages = {
      parse_stage("epochs=50,lr=0,patience=2")};  // nothing changes, nothing gets better
  options_.recipe.average = 0;
  const auto model = new_model();
  ASSERT_TRUE(trainer_for(*model, ctx_).run(hooks()));
  EXPECT_EQ(rows_.size(), 3u);
}

TEST_F(TrainerTest, BestEpochIsRestored) {
  options_.recipe.monitor = Monitor::loss;
  options_.recipe.average = 0;
  options_.recipe.norm = NormMode::frozen;
  // So high a rate that the loss soon grows, and the first epochs stay the best.
  options_.recipe.stages = {parse_stage("epochs=4,lr=0.3")};
  options_.recipe.clip_norm = 0;
  const auto model = new_model();
  ASSERT_TRUE(trainer_for(*model, ctx_).run(hooks()));
  double best = std::numeric_limits<double>::infinity();
  for (const MetricRow& row : rows_) best = std::min(best, row.values.at("val_loss"));
  const Round& round = division_.rounds[0];
  const TrainingImages images{data_.cache.get(), data_.classes, data_.labels, round.train, round.held_out};
  const Evaluation evaluation =
      evaluate(predict_cached(ctx_, *model, start_->preprocessing(), images, round.held_out, 1));
  EXPECT_EQ(evaluation.loss, best);
}

TEST_F(TrainerTest, ALossThatIsNoNumberStopsWithAdvice) {
  const auto model = new_model();
  const Tensor& kernel = model->find_layer("predictions")->parameters()[0].value;
  std::vector<float> values = kernel.to_vector<float>(ctx_);
  values[0] = std::numeric_limits<float>::quiet_NaN();
  kernel.assign(ctx_, std::span<const float>(values));
  try {
    trainer_for(*model, ctx_).run(hooks());
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("lower learning rate"), std::string::npos) << error.what();
  }
}

TEST_F(TrainerTest, WatchingNeedsValidationImages) {
  options_.recipe.monitor = Monitor::accuracy;
  division_.rounds[0].held_out.clear();
  const auto model = new_model();
  EXPECT_THROW(trainer_for(*model, ctx_), UsageError);
}

TEST_F(TrainerTest, ACheckpointOfAnotherModelIsRefused) {
  const auto model = new_model();
  Checkpoint checkpoint;
  trainer_for(*model, ctx_).save(checkpoint);
  FineTuneOptions wide = small_options(folder_.path());
  wide.width = 0.5;
  use(wide);
  const auto other = new_model();
  Trainer trainer = trainer_for(*other, ctx_);
  EXPECT_THROW(trainer.restore(checkpoint), FileError);
  EXPECT_THROW(trainer.restore({}), FileError);
}

}  // namespace
}  // namespace pila
