// One step of training: from pixels to changed weights.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "layers/augmentation.h"
#include "layers/gradient_step.h"
#include "layers/model.h"

namespace pila {

struct StepOptions {
  Preprocessing preprocessing;
  Augmentation augmentation;
  GradientStepOptions gradient;
};

// What a rank sees of a batch of `total` images: its own, from `first` on. Labels and pixels, uint8 [n, h, w,
// 3], are those of its own images and, where ranks share the batch and images are mixed, behind them those
// from mirrored_from() on, as many, which lie where its own do when the batch is counted from its end.
struct StepImages {
  std::span<const std::uint8_t> pixels;
  std::int64_t height = 0, width = 0;
  std::span<const std::int32_t> labels;
  std::int64_t first = 0, count = 0, total = 0;
  std::int64_t mirrored_from() const { return total - first - count; }
};

class TrainingStep {
 public:
  // For the parameters that are trainable now. The model must outlive this. The ranks of ctx share each
  // batch, and all end a step with the same weights.
  TrainingStep(const Context& ctx, Model& model, StepOptions options);

  struct Result {
    double loss = 0;           // mean over the whole batch
    std::int64_t correct = 0;  // rightly classified, as augmented and before they were mixed with others
    bool finite = true;        // false when a loss or gradient was not a number: nothing was changed
  };
  // A batch on the device, augmented.
  struct Prepared {
    StepBatch batch;
    std::vector<std::int32_t> labels;
    BatchShare share;
    std::int64_t step = 0;
  };
  // `step` counts all steps of a run: random numbers are keyed by it.
  Prepared prepare(const StepImages& images, std::int64_t step) const;
  // Queues the step, and waits for it. The next one may be prepared in between, while a device works by
  // itself.
  void start(Prepared prepared, double rate);
  Result finish();
  // All of it.
  Result run(const StepImages& images, double rate, std::int64_t step);

  GradientStep& gradient_step() { return gradient_step_; }
  const GradientStep& gradient_step() const { return gradient_step_; }

 private:
  Tensor augmented(const StepImages& images, float weight, std::int64_t step) const;

  Context ctx_;
  StepOptions options_;
  GradientStep gradient_step_;
  Prepared started_;
};

}  // namespace pila
