#include "layers/gradient_step.h"

#include <cmath>
#include <utility>

#include "engine/autograd/tape.h"
#include "engine/ops/ops.h"
#include "engine/parallel/communicator.h"
#include "engine/parallel/gradients.h"
#include "layers/mixed_precision.h"

namespace pila {
namespace {

Context checked(const Context& ctx, Precision precision) {
  check_training_precision(*ctx.device(), precision);
  return ctx.with_products(precision == Precision::tf32 ? precision : Precision::f32);
}

// All that a batch may have.
std::vector<Tensor> tensors_of(const StepBatch& batch) {
  return {batch.images, batch.labels, batch.others, batch.shares[0], batch.shares[1]};
}

bool are_alike(const StepBatch& a, const StepBatch& b) {
  const auto all_a = tensors_of(a), all_b = tensors_of(b);
  for (std::size_t i = 0; i < all_a.size(); ++i) {
    if (all_a[i].defined() != all_b[i].defined()) return false;
    if (all_a[i] && all_a[i].spec() != all_b[i].spec()) return false;
  }
  return true;
}

std::optional<ExponentialAverage> average_of(const Context& ctx, const Model& model, double momentum) {
  if (momentum == 0) return std::nullopt;
  return ExponentialAverage(ctx, changing_values(model), {.momentum = momentum, .warm_up = true});
}

}  // namespace

std::vector<Tensor> changing_values(const Model& model) {
  std::vector<Tensor> values;
  for (const Parameter* parameter : model.changing_parameters()) values.push_back(parameter->value);
  return values;
}

GradientStep::GradientStep(const Context& ctx, Model& model, GradientStepOptions options)
    : ctx_(checked(ctx, options.precision)),
      model_(model),
      options_(std::move(options)),
      parameters_(learning_parameters(model, options_.learning)),
      average_(average_of(ctx, model, options_.average)),
      adam_(ctx, parameters_, options_.adam, average_ ? &*average_ : nullptr),
      step_(Tensor::empty(ctx, {{}, DType::i64})),
      replay_(ctx) {
  if (options_.precision == Precision::f16) loss_scale_.emplace(ctx);
  if (!options_.class_weights.empty()) {
    const auto classes = static_cast<std::int64_t>(options_.class_weights.size());
    class_weights_ = Tensor::from(ctx, {classes}, options_.class_weights);
  }
}

Tensor GradientStep::loss_of(const Context& ctx, const Tensor& logits, const StepBatch& batch,
                             const BatchShare& share) const {
  const auto mean_for = [&](const Tensor& labels) {
    return ops::mean(
        ctx, ops::sparse_cross_entropy(ctx, logits, labels, options_.label_smoothing, class_weights_));
  };
  Tensor loss = mean_for(batch.labels);
  if (batch.others) {
    loss = ops::add(ctx, ops::multiply(ctx, loss, batch.shares[0]),
                    ops::multiply(ctx, mean_for(batch.others), batch.shares[1]));
  }
  const std::int64_t count = batch.labels.shape()[0];
  if (share.total == 0 || count == share.total) return loss;
  return ops::affine(ctx, loss, static_cast<double>(count) / static_cast<double>(share.total));
}

// The loss and the logits, where there are images.
std::vector<Tensor> GradientStep::compute(const StepBatch& batch, const BatchShare& share) {
  Tape tape;
  std::vector<Tensor> values;
  for (const AdamParameter& parameter : parameters_) values.push_back(parameter.value);
  for (const Tensor& value : values) tape.watch(value);
  std::vector<Tensor> made;
  Gradients gradients;
  if (batch.images) {
    const Context training = ctx_.for_training(options_.seed, step_).with_share(share).with_recorder(&tape);
    const Tensor images = ops::cast(training, batch.images, storage_type(options_.precision));
    const Tensor logits = model_.logits(training, images);
    const Tensor loss = loss_of(training, logits, batch, share);
    gradients = tape.backward(ctx_, loss_scale_ ? loss_scale_->scaled(training, loss) : loss);
    made = {loss, logits};
  }
  if (!ctx_.ranks().alone()) sum_over_ranks(ctx_, values, gradients);
  adam_.update(ctx_, gradients, loss_scale_ ? loss_scale_->value() : Tensor());
  return made;
}

const std::vector<Tensor>& GradientStep::replay(const StepBatch& batch) {
  if (!replayed_.images) replayed_ = batch;
  if (!are_alike(batch, replayed_)) {
    return replay_.run_other([&] { return compute(batch, {}); });
  }
  const auto from = tensors_of(batch), to = tensors_of(replayed_);
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i] && to[i].id() != from[i].id()) to[i].assign(ctx_, from[i]);
  }
  return replay_.run([&] { return compute(replayed_, {}); });
}

void GradientStep::start(const StepBatch& batch, const BatchShare& share, double rate, std::int64_t step) {
  step_.assign<std::int64_t>(ctx_, {&step, 1});
  adam_.advance(ctx_, rate);
  if (average_) average_->advance(ctx_);
  const bool replays = options_.captures && ctx_.ranks().alone() && ctx_.device()->api().captures();
  made_ = replays ? replay(batch) : compute(batch, share);
}

GradientStep::Result GradientStep::finish() {
  Result result;
  if (!made_.empty()) {
    result.loss = made_[0];
    result.logits = made_[1];
  }
  result.finite = std::isfinite(adam_.gradient_norm().item<float>(ctx_));
  // Adam leaves its averages alone in a step that is not taken. The others, of moving statistics, wait for
  // the step's end.
  if (average_ && result.finite) average_->accumulate(ctx_);
  if (average_ && !result.finite) average_->restore_updates(average_->updates() - 1);
  if (loss_scale_ && loss_scale_->update(ctx_, result.finite) && !result.finite) {
    adam_.restore_steps(ctx_, adam_.steps() - 1);
    result.finite = true;
    result.taken = false;
  }
  return result;
}

GradientStep::Result GradientStep::run(const StepBatch& batch, const BatchShare& share, double rate,
                                       std::int64_t step) {
  start(batch, share, rate, step);
  return finish();
}

}  // namespace pila
