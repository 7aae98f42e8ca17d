// One step of training on the device: from images to changed weights.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/core/replay.h"
#include "engine/optim/adam.h"
#include "engine/optim/average.h"
#include "engine/optim/loss_scale.h"
#include "layers/fine_tuning.h"
#include "layers/model.h"

namespace pila {

struct GradientStepOptions {
  AdamOptions adam = {};
  LearningOptions learning = {};
  double label_smoothing = 0;
  std::vector<float> class_weights = {};  // one for each class, or empty
  double average = 0;                     // momentum of the weights' exponential average; 0: none
  // What the network computes in, between weights of float32 and a loss of float32; see storage_type().
  Precision precision = Precision::f32;
  bool captures = true;  // steps, on a device that can
  std::uint64_t seed = 0;
};

// What a step may change. Averages are taken of these alone: that of a number that stays would differ from it
// by rounding.
std::vector<Tensor> changing_values(const Model& model);

// A rank's part of a batch. No images where a batch has fewer than there are ranks.
struct StepBatch {
  Tensor images;  // float32 [n, h, w, 3], as the network sees them
  Tensor labels;  // int32 [n]
  // Where images are mixed with others: these have the labels `others`, and the loss is shares[0] times that
  // by `labels` plus shares[1] times that by `others`. shares: two of float32 [].
  Tensor others = {}, shares[2] = {};
};

// On a device that captures work, steps on batches of the first one's size are captured, and launched as a
// whole.
class GradientStep {
 public:
  // For the parameters that are trainable now. The model must outlive this. The ranks of ctx share each
  // batch, and all end a step with the same weights. Throws what check_training_precision() throws.
  GradientStep(const Context& ctx, Model& model, GradientStepOptions options);

  struct Result {
    Tensor loss;    // []: this rank's part of the mean over the whole batch
    Tensor logits;  // float32 [n, classes]; both are overwritten by the next step
    // False when a gradient was not a number: no weight and no average was changed.
    bool finite = true;
    // False when float16's gradients were too large: the same, and the loss is scaled by less.
    bool taken = true;
  };
  // Queues a step, and waits for it. In between a device works by itself, and the host may get the next
  // batch. `step` counts all steps of a run: random numbers are keyed by it. share: see Context.
  void start(const StepBatch& batch, const BatchShare& share, double rate, std::int64_t step);
  Result finish();
  // Both.
  Result run(const StepBatch& batch, const BatchShare& share, double rate, std::int64_t step);

  Adam& adam() { return adam_; }
  const Adam& adam() const { return adam_; }
  std::optional<ExponentialAverage>& average() { return average_; }
  const std::optional<ExponentialAverage>& average() const { return average_; }
  // Of float16 alone.
  std::optional<LossScale>& loss_scale() { return loss_scale_; }
  const std::optional<LossScale>& loss_scale() const { return loss_scale_; }

 private:
  std::vector<Tensor> compute(const StepBatch& batch, const BatchShare& share);
  const std::vector<Tensor>& replay(const StepBatch& batch);
  Tensor loss_of(const Context& ctx, const Tensor& logits, const StepBatch& batch,
                 const BatchShare& share) const;

  Context ctx_;
  Model& model_;
  GradientStepOptions options_;
  std::vector<AdamParameter> parameters_;
  std::optional<ExponentialAverage> average_;
  Adam adam_;  // moves the averages of what learns
  std::optional<LossScale> loss_scale_;
  Tensor class_weights_, step_;
  std::vector<Tensor> made_;  // by the step that was started
  StepBatch replayed_;        // what the captured step reads
  Replay replay_;
};

}  // namespace pila
