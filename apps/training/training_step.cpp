#include "apps/training/training_step.h"

#include <algorithm>
#include <cmath>

#include "engine/ops/ops.h"
#include "engine/parallel/communicator.h"

namespace pila {
namespace {

std::int64_t count_correct(std::span<const float> logits, std::span<const std::int32_t> labels) {
  const std::size_t classes = logits.size() / labels.size();
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.subspan(i * classes, classes);
    correct += std::ranges::max_element(row) - row.begin() == labels[i];
  }
  return correct;
}

}  // namespace

TrainingStep::TrainingStep(const Context& ctx, Model& model, StepOptions options)
    : ctx_(ctx), options_(std::move(options)), gradient_step_(ctx, model, options_.gradient) {}

// As the network sees them; weight: of the images themselves, beside those that they are mixed with.
Tensor TrainingStep::augmented(const StepImages& images, float weight, std::int64_t step) const {
  const auto pixels_per_image = static_cast<std::size_t>(images.height * images.width * 3);
  const auto from = [&](std::int64_t index, std::int64_t place) {
    const auto pixels = images.pixels.subspan(static_cast<std::size_t>(index) * pixels_per_image,
                                              static_cast<std::size_t>(images.count) * pixels_per_image);
    return augment(ctx_, Tensor::from(ctx_, {images.count, images.height, images.width, 3}, pixels),
                   options_.augmentation, options_.preprocessing, options_.gradient.seed, step, place);
  };
  const Tensor own = from(0, images.first);
  if (weight == 1) return own;
  if (images.count == images.total) return ops::mix_with_reversed(ctx_, own, weight);
  const Tensor partners = ops::mix_with_reversed(ctx_, from(images.count, images.mirrored_from()), 0);
  return ops::add(ctx_, ops::affine(ctx_, own, weight), ops::affine(ctx_, partners, 1 - weight));
}

TrainingStep::Prepared TrainingStep::prepare(const StepImages& images, std::int64_t step) const {
  Prepared prepared;
  prepared.step = step;
  if (!ctx_.ranks().alone()) prepared.share = {images.first, images.total};
  if (images.count == 0) return prepared;

  const Mixup mixup = draw_mixup(options_.augmentation, options_.gradient.seed, step);
  const auto own = images.labels.first(static_cast<std::size_t>(images.count));
  prepared.labels.assign(own.begin(), own.end());
  StepBatch& batch = prepared.batch;
  batch.images = augmented(images, mixup.weight, step);
  batch.labels = Tensor::from(ctx_, {images.count}, own);
  if (options_.augmentation.mixup > 0) {
    const auto mirrored = images.labels.last(own.size());
    const std::vector<std::int32_t> reversed(mirrored.rbegin(), mirrored.rend());
    batch.others = Tensor::from(ctx_, {images.count}, reversed);
    batch.shares[0] = Tensor::full(ctx_, {{}, DType::f32}, mixup.weight);
    batch.shares[1] = Tensor::full(ctx_, {{}, DType::f32}, 1 - mixup.weight);
  }
  return prepared;
}

void TrainingStep::start(Prepared prepared, double rate) {
  started_ = std::move(prepared);
  gradient_step_.start(started_.batch, started_.share, rate, started_.step);
}

TrainingStep::Result TrainingStep::finish() {
  const GradientStep::Result made = gradient_step_.finish();
  double sums[2] = {};  // the loss, and those rightly classified
  if (made.loss) {
    sums[0] = made.loss.item<float>(ctx_);
    sums[1] = static_cast<double>(count_correct(made.logits.to_vector<float>(ctx_), started_.labels));
  }
  sum_over_ranks(ctx_.ranks(), sums);

  Result result;
  result.loss = sums[0];
  result.correct = static_cast<std::int64_t>(sums[1]);
  result.finite = made.finite && std::isfinite(result.loss);
  return result;
}

TrainingStep::Result TrainingStep::run(const StepImages& images, double rate, std::int64_t step) {
  start(prepare(images, step), rate);
  return finish();
}

}  // namespace pila
