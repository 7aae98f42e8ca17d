#include "apps/training/training_step.h"

#include <algorithm>
#include <cmath>

#include "engine/ops/ops.h"
#include "engine/parallel/gradients.h"

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

std::vector<Tensor> changing_values(const Model& model) {
  std::vector<Tensor> values;
  for (const Parameter* parameter : model.changing_parameters()) values.push_back(parameter->value);
  return values;
}

TrainingStep::TrainingStep(const Context& ctx, Model& model, StepOptions options)
    : ctx_(ctx),
      model_(model),
      options_(std::move(options)),
      parameters_(learning_parameters(model, options_.learning)),
      adam_(ctx, parameters_, options_.adam) {
  if (options_.average > 0) {
    average_.emplace(ctx, changing_values(model),
                     AverageOptions{.momentum = options_.average, .warm_up = true});
  }
  if (!options_.class_weights.empty()) {
    const auto classes = static_cast<std::int64_t>(options_.class_weights.size());
    class_weights_ = Tensor::from(ctx, {classes}, options_.class_weights);
  }
}

// As the network sees them.
Tensor TrainingStep::augmented(const StepImages& images, const Mixup& mixup, std::int64_t step) const {
  const auto pixels_per_image = static_cast<std::size_t>(images.height * images.width * 3);
  const auto from = [&](std::int64_t index, std::int64_t place) {
    const auto pixels = images.pixels.subspan(static_cast<std::size_t>(index) * pixels_per_image,
                                              static_cast<std::size_t>(images.count) * pixels_per_image);
    return augment(ctx_, Tensor::from(ctx_, {images.count, images.height, images.width, 3}, pixels),
                   options_.augmentation, options_.preprocessing, options_.seed, step, place);
  };
  const Tensor own = from(0, images.first);
  if (mixup.weight == 1) return own;
  if (images.count == images.total) return ops::mix_with_reversed(ctx_, own, mixup.weight);
  const Tensor partners = ops::mix_with_reversed(ctx_, from(images.count, images.mirrored_from()), 0);
  return ops::add(ctx_, ops::affine(ctx_, own, mixup.weight), ops::affine(ctx_, partners, 1 - mixup.weight));
}

// This rank's part of the mean over the whole batch.
Tensor TrainingStep::loss_of(const Context& ctx, const Tensor& logits, const StepImages& images,
                             const Mixup& mixup) const {
  const auto count = static_cast<std::size_t>(images.count);
  const auto mean_for = [&](std::span<const std::int32_t> labels) {
    return ops::mean(ctx, ops::sparse_cross_entropy(ctx, logits, Tensor::from(ctx, {images.count}, labels),
                                                    options_.label_smoothing, class_weights_));
  };
  Tensor loss = mean_for(images.labels.first(count));
  if (mixup.weight < 1) {
    const auto mirrored = images.labels.last(count);
    const std::vector<std::int32_t> reversed(mirrored.rbegin(), mirrored.rend());
    loss = ops::add(ctx, ops::affine(ctx, loss, mixup.weight),
                    ops::affine(ctx, mean_for(reversed), 1 - mixup.weight));
  }
  if (images.count == images.total) return loss;
  return ops::affine(ctx, loss, static_cast<double>(images.count) / static_cast<double>(images.total));
}

TrainingStep::Result TrainingStep::run(const StepImages& images, double rate, std::int64_t step) {
  Tape tape;
  std::vector<Tensor> values;
  for (const AdamParameter& parameter : parameters_) values.push_back(parameter.value);
  for (const Tensor& value : values) tape.watch(value);
  const auto step_number = Tensor::from(ctx_, Shape{}, std::span<const std::int64_t>(&step, 1));
  Communicator& ranks = ctx_.ranks();
  const BatchShare share = ranks.alone() ? BatchShare{} : BatchShare{images.first, images.total};
  const Context training =
      ctx_.for_training(options_.seed, step_number).with_share(share).with_recorder(&tape);

  Tensor loss;
  double sums[2] = {};  // the loss, and those rightly classified
  if (images.count > 0) {
    const Mixup mixup = draw_mixup(options_.augmentation, options_.seed, step);
    const Tensor logits = model_.logits(training, augmented(images, mixup, step));
    loss = loss_of(training, logits, images, mixup);
    sums[0] = loss.item<float>(ctx_);
    sums[1] = static_cast<double>(count_correct(logits.to_vector<float>(ctx_),
                                                images.labels.first(static_cast<std::size_t>(images.count))));
  }
  sum_over_ranks(ranks, sums);

  Result result;
  result.loss = sums[0];
  result.correct = static_cast<std::int64_t>(sums[1]);
  result.finite = std::isfinite(result.loss);
  if (!result.finite) return result;
  Gradients gradients = loss ? tape.backward(ctx_, loss) : Gradients();
  if (!ranks.alone()) sum_over_ranks(ctx_, values, gradients);
  adam_.step(ctx_, gradients, rate);
  result.finite = std::isfinite(adam_.gradient_norm().item<float>(ctx_));
  if (result.finite && average_) average_->update(ctx_);
  return result;
}

}  // namespace pila
