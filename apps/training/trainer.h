// Fits a model to labelled images by a recipe, and can stop and go on at any batch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "apps/report/metrics_csv.h"
#include "apps/training/predict_cached.h"
#include "apps/training/recipe.h"
#include "apps/training/training_step.h"
#include "layers/model.h"
#include "weights/checkpoint.h"

namespace pila {

struct TrainerHooks {
  std::function<void(std::int64_t images)> progress;  // so many images more were trained on
  std::function<void(const MetricRow& row)> epoch;    // an epoch is complete
  std::function<void(bool urgent)> save;              // after every epoch, and urgently before stopping
  std::function<bool()> stop;  // asked after every batch; one rank's yes is that of all
  std::function<void(const std::string& line)> note;  // for people
};

class Trainer {
 public:
  // Both must outlive the trainer. `preprocessing` is the model's. The ranks of ctx train together: each with
  // these arguments, and all its calls at the same time as the others'. Throws UsageError when the recipe
  // does not fit the images: nothing to train on, a monitored value without validation images, or a rank
  // without an image of a batch whose statistics are asked for.
  Trainer(const Context& ctx, Model& model, const Preprocessing& preprocessing, const Recipe& recipe,
          TrainingImages images, std::uint64_t seed, int loader_threads,
          Precision precision = Precision::f32);
  ~Trainer();

  // Trains on from where it is. True at the end of the recipe, when the model has its final weights; false
  // when hooks.stop said so, after hooks.save. Throws Error for a loss that is not a number, with the model
  // at the last good weights.
  bool run(const TrainerHooks& hooks);

  // Everything that run() goes on from, the model's weights too. restore() throws FileError for a checkpoint
  // of another training.
  void save(Checkpoint& checkpoint) const;
  void restore(const Checkpoint& checkpoint);

  std::int64_t epochs() const { return at_.epochs; }  // that are complete
  std::int64_t done_images() const;                   // that were trained on, repeats counted
  // That a whole recipe trains on, without early ends.
  static std::int64_t images_in(const Recipe& recipe, std::size_t images);

 private:
  struct Position {
    std::size_t stage = 0;
    int epoch = 0;                      // of the stage
    std::int64_t batch = 0;             // of the epoch
    std::int64_t step = 0, epochs = 0;  // of the whole training
    double loss = 0;                    // summed over this epoch's images
    std::int64_t correct = 0, images = 0;
    double best = 0;  // monitored value of this stage
    int waited = 0;   // epochs since then
  };

  const Stage& stage() const { return recipe_.stages[at_.stage]; }
  std::int64_t batches_per_epoch() const;
  std::vector<std::vector<std::size_t>> batches_of_epoch() const;
  std::vector<std::vector<std::size_t>> own_parts(const std::vector<std::vector<std::size_t>>& batches) const;
  double rate() const;
  void begin_stage();
  bool run_epoch(const TrainerHooks& hooks);
  bool finish_epoch(const TrainerHooks& hooks);
  void put_result();
  void take_result_back();
  void finish_stage();
  void recalibrate();
  void align_ranks() const;

  Context ctx_;
  Model& model_;
  const Preprocessing preprocessing_;
  const Recipe recipe_;
  const TrainingImages images_;
  const std::uint64_t seed_;
  const int loader_threads_;
  const Precision precision_;
  Position at_;
  std::optional<TrainingStep> step_;   // of the stage
  std::vector<Tensor> values_, best_;  // all of the model's numbers; their copies at the stage's best epoch
  // Where the stage blends: the numbers that change, as it began with them, and while its result is in place.
  std::vector<Tensor> changing_, start_, trained_;
};

}  // namespace pila
