#include "apps/training/training_step.h"

#include <algorithm>
#include <cmath>

#include "engine/ops/ops.h"

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

TrainingStep::Result TrainingStep::run(std::span<const std::uint8_t> pixels, std::int64_t height,
                                       std::int64_t width, std::span<const std::int32_t> labels, double rate,
                                       std::int64_t step) {
  const auto count = static_cast<std::int64_t>(labels.size());
  Tape tape;
  for (const AdamParameter& parameter : parameters_) tape.watch(parameter.value);
  const auto step_number = Tensor::from(ctx_, Shape{}, std::span<const std::int64_t>(&step, 1));
  const Context training = ctx_.for_training(options_.seed, step_number).with_recorder(&tape);

  Tensor images = augment(ctx_, Tensor::from(ctx_, {count, height, width, 3}, pixels), options_.augmentation,
                          options_.preprocessing, options_.seed, step);
  const Mixup mixup = draw_mixup(options_.augmentation, options_.seed, step);
  if (mixup.weight < 1) images = ops::mix_with_reversed(ctx_, images, mixup.weight);

  const Tensor logits = model_.logits(training, images);
  const auto loss_for = [&](std::span<const std::int32_t> of) {
    const Tensor losses = ops::sparse_cross_entropy(training, logits, Tensor::from(ctx_, {count}, of),
                                                    options_.label_smoothing, class_weights_);
    return ops::mean(training, losses);
  };
  Tensor loss = loss_for(labels);
  if (mixup.weight < 1) {
    const std::vector<std::int32_t> reversed(labels.rbegin(), labels.rend());
    loss = ops::add(training, ops::affine(training, loss, mixup.weight),
                    ops::affine(training, loss_for(reversed), 1 - mixup.weight));
  }

  Result result;
  result.loss = loss.item<float>(ctx_);
  result.correct = count_correct(logits.to_vector<float>(ctx_), labels);
  result.finite = std::isfinite(result.loss);
  if (!result.finite) return result;
  adam_.step(ctx_, tape.backward(ctx_, loss), rate);
  result.finite = std::isfinite(adam_.gradient_norm().item<float>(ctx_));
  if (result.finite && average_) average_->update(ctx_);
  return result;
}

}  // namespace pila
