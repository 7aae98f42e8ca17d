#include "apps/training/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "apps/data/batch_loader.h"
#include "apps/report/evaluation.h"
#include "apps/training/predict_cached.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/ops/ops.h"
#include "engine/parallel/communicator.h"

namespace pila {
namespace {

constexpr std::uint32_t kShufflePlace = 0x5FF1E;

// Makes `to` copies of `from`.
void copy_all(const Context& ctx, const std::vector<Tensor>& from, std::vector<Tensor>& to) {
  if (to.empty()) {
    for (const Tensor& value : from) to.push_back(Tensor::empty(ctx, value.spec()));
  }
  for (std::size_t i = 0; i < from.size(); ++i) to[i].assign(ctx, from[i]);
}

std::vector<Tensor> values_of(const Model& model) {
  std::vector<Tensor> values;
  for (const Layer* layer : model.layers()) {
    for (const Parameter& parameter : layer->parameters()) values.push_back(parameter.value);
  }
  return values;
}

// A class's weight is such that all classes together weigh as much each, and images 1 on average.
std::vector<float> balanced_weights(const TrainingImages& images, std::int64_t classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes));
  for (const std::size_t image : images.train) ++counts[static_cast<std::size_t>(images.labels[image])];
  std::vector<float> weights;
  for (const std::int64_t count : counts) {
    weights.push_back(count == 0 ? 0.0f
                                 : static_cast<float>(static_cast<double>(images.train.size()) /
                                                      static_cast<double>(classes * count)));
  }
  return weights;
}

bool goes_by_batch(NormMode norm) { return norm == NormMode::batch || norm == NormMode::batch_recalibrate; }

std::string numbered(const char* what, std::size_t number) { return what + std::to_string(number); }

void put_all(const Context& ctx, Checkpoint& checkpoint, const char* what,
             const std::vector<Tensor>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) checkpoint.put(ctx, numbered(what, i), tensors[i]);
}

void get_all(const Context& ctx, const Checkpoint& checkpoint, const char* what,
             const std::vector<Tensor>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) checkpoint.get(ctx, numbered(what, i), tensors[i]);
}

}  // namespace

Trainer::Trainer(const Context& ctx, Model& model, const Preprocessing& preprocessing, const Recipe& recipe,
                 TrainingImages images, std::uint64_t seed, int loader_threads, Precision precision)
    : ctx_(ctx),
      model_(model),
      preprocessing_(preprocessing),
      recipe_(recipe),
      images_(std::move(images)),
      seed_(seed),
      loader_threads_(loader_threads),
      precision_(precision),
      values_(values_of(model)) {
  if (images_.train.empty()) throw UsageError("[trainer] expected images to train on, got none");
  if (recipe_.monitor != Monitor::none && images_.validation.empty()) {
    throw UsageError("[trainer] expected validation images for a recipe that watches them, got none");
  }
  const auto smallest_batch = static_cast<std::int64_t>(images_.train.size()) / batches_per_epoch();
  if (goes_by_batch(recipe_.norm) && smallest_batch < ctx.ranks().size()) {
    throw UsageError("expected, for the statistics of batches (--bn), an image for each of " +
                     std::to_string(ctx.ranks().size()) + " processes in every batch, got batches of " +
                     std::to_string(smallest_batch) + "; start fewer processes, or take a larger --batch");
  }
  begin_stage();
}

Trainer::~Trainer() = default;

std::int64_t Trainer::batches_per_epoch() const {
  const auto images = static_cast<std::int64_t>(images_.train.size());
  return (images + recipe_.batch - 1) / recipe_.batch;
}

// All images once in a new order, in batches whose sizes differ by one at most: none is too small for the
// statistics of batch normalisation.
std::vector<std::vector<std::size_t>> Trainer::batches_of_epoch() const {
  std::vector<std::size_t> order = images_.train;
  Random random(seed_, at_.epochs, kShufflePlace);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  const auto count = static_cast<std::size_t>(batches_per_epoch());
  std::vector<std::vector<std::size_t>> batches;
  for (std::size_t b = 0; b < count; ++b) {
    batches.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(order.size() * b / count),
                         order.begin() + static_cast<std::ptrdiff_t>(order.size() * (b + 1) / count));
  }
  return batches;
}

// What this rank needs of the batches: its share, and where images are mixed, what may be mixed with it.
std::vector<std::vector<std::size_t>> Trainer::own_parts(
    const std::vector<std::vector<std::size_t>>& batches) const {
  const Communicator& ranks = ctx_.ranks();
  if (ranks.alone()) return batches;
  std::vector<std::vector<std::size_t>> parts;
  for (const auto& batch : batches) {
    const Share share = share_of(static_cast<std::int64_t>(batch.size()), ranks);
    auto& part = parts.emplace_back(batch.begin() + share.begin, batch.begin() + share.end);
    if (recipe_.augmentation.mixup > 0)
      part.insert(part.end(), batch.end() - share.end, batch.end() - share.begin);
  }
  return parts;
}

double Trainer::rate() const {
  const std::int64_t batches = batches_per_epoch();
  Schedule schedule;
  schedule.kind = stage().schedule;
  schedule.rate = stage().rate;
  schedule.warmup_steps = std::llround(stage().warmup * static_cast<double>(batches));
  schedule.decay_steps = std::max<std::int64_t>(1, stage().epochs * batches - schedule.warmup_steps);
  schedule.final_fraction = stage().final_fraction;
  return rate_at(schedule, at_.epoch * batches + at_.batch);
}

void Trainer::begin_stage() {
  step_.reset();
  best_.clear();
  start_.clear();
  trained_.clear();
  if (at_.stage == recipe_.stages.size()) return;
  if (stage().trainable_last) {
    train_last(model_, *stage().trainable_last);
  } else {
    model_.freeze_first(stage().freeze.value_or(0));
  }
  set_batch_statistics(model_, goes_by_batch(recipe_.norm));
  if (stage().blend < 1) {
    changing_ = changing_values(model_);
    copy_all(ctx_, changing_, start_);
  }

  StepOptions options;
  options.preprocessing = preprocessing_;
  options.augmentation = recipe_.augmentation;
  GradientStepOptions& gradient = options.gradient;
  gradient.adam.weight_decay = recipe_.weight_decay;
  if (recipe_.clip_norm > 0) gradient.adam.clip_norm = recipe_.clip_norm;
  gradient.learning.layer_decay = stage().layer_decay;
  gradient.learning.decay_kernels_only = recipe_.decay_kernels_only;
  gradient.label_smoothing = recipe_.label_smoothing;
  if (recipe_.balanced) gradient.class_weights = balanced_weights(images_, model_.classes());
  gradient.average = recipe_.average;
  gradient.precision = precision_;
  gradient.seed = seed_;
  step_.emplace(ctx_, model_, std::move(options));
  at_.best = std::numeric_limits<double>::infinity();
}

bool Trainer::run(const TrainerHooks& hooks) {
  while (at_.stage < recipe_.stages.size()) {
    align_ranks();
    if (!run_epoch(hooks)) {
      hooks.save(true);
      return false;
    }
    if (finish_epoch(hooks)) finish_stage();
    hooks.save(at_.stage == recipe_.stages.size());
  }
  return true;
}

bool Trainer::run_epoch(const TrainerHooks& hooks) {
  auto batches = batches_of_epoch();
  batches.erase(batches.begin(), batches.begin() + at_.batch);
  constexpr std::size_t kAhead = 4;
  BatchLoader loader(*images_.cache, own_parts(batches), loader_threads_, kAhead);
  auto coming = batches.begin();
  const auto prepare_next = [&](std::int64_t step) -> std::optional<TrainingStep::Prepared> {
    Batch batch;
    if (!loader.next(batch)) return {};
    std::vector<std::int32_t> labels;
    for (const std::size_t image : batch.images) labels.push_back(images_.labels[image]);
    const auto count = static_cast<std::int64_t>((coming++)->size());
    const Share share = share_of(count, ctx_.ranks());
    return step_->prepare({batch.pixels, images_.cache->height(), images_.cache->width(), labels, share.begin,
                           share.count(), count},
                          step);
  };
  auto next = prepare_next(at_.step);
  for (const auto& images : batches) {
    step_->start(std::move(*next), rate());
    next = prepare_next(at_.step + 1);
    const TrainingStep::Result result = step_->finish();
    if (!result.finite) {
      throw Error("the loss became infinite or not a number in epoch " + std::to_string(at_.epochs + 1) +
                  "; try a lower learning rate (--stage lr=...), a limit on the gradient (--clip-norm 1), or "
                  "images without damage");
    }
    const auto count = static_cast<std::int64_t>(images.size());
    at_.loss += result.loss * static_cast<double>(count);
    at_.correct += result.correct;
    at_.images += count;
    ++at_.batch;
    ++at_.step;
    hooks.progress(count);
    if (ctx_.ranks().any(hooks.stop())) return at_.batch == batches_per_epoch();
  }
  return true;
}

// Looks at the validation images with the weights that the stage would end with now. True when the stage is
// at its end.
bool Trainer::finish_epoch(const TrainerHooks& hooks) {
  const auto images = static_cast<double>(at_.images);
  at_.batch = batches_per_epoch() - 1;  // the last step's rate
  MetricRow row;
  row.epoch = at_.epochs;
  row.values = {{"loss", at_.loss / images},
                {"accuracy", static_cast<double>(at_.correct) / images},
                {"learning_rate", rate()},
                {"stage", static_cast<double>(at_.stage + 1)}};
  ++at_.epoch;
  ++at_.epochs;
  at_.batch = 0;
  at_.loss = 0;
  at_.correct = at_.images = 0;

  if (!images_.validation.empty()) {
    put_result();
    if (recipe_.norm == NormMode::batch_recalibrate) recalibrate();
    const Evaluation evaluation =
        evaluate(predict_cached(ctx_, model_, preprocessing_, images_, images_.validation, loader_threads_));
    row.values["val_loss"] = evaluation.loss;
    row.values["val_accuracy"] = evaluation.accuracy;
    if (recipe_.monitor != Monitor::none) {
      const double value =
          ctx_.ranks().first_ones(recipe_.monitor == Monitor::loss ? evaluation.loss : -evaluation.accuracy);
      ++at_.waited;
      if (value < at_.best) {
        at_.best = value;
        at_.waited = 0;
        copy_all(ctx_, values_, best_);
      }
    }
    take_result_back();
  }
  hooks.epoch(row);

  if (at_.epoch == stage().epochs) return true;
  if (stage().patience == 0 || at_.waited < stage().patience) return false;
  const std::int64_t left = stage().epochs - at_.epoch;
  hooks.note("No better epoch for " + std::to_string(at_.waited) + " epochs: the stage ends early");
  hooks.progress(left * static_cast<std::int64_t>(images_.train.size()));
  return true;
}

// The weights that the stage would end with now come in place of those that learn.
void Trainer::put_result() {
  if (const auto& average = step_->gradient_step().average()) average->swap(ctx_);
  if (start_.empty()) return;
  copy_all(ctx_, changing_, trained_);
  for (std::size_t i = 0; i < start_.size(); ++i) {
    ops::moving_average(ctx_, changing_[i], start_[i], stage().blend);
  }
}

void Trainer::take_result_back() {
  for (std::size_t i = 0; i < start_.size(); ++i) changing_[i].assign(ctx_, trained_[i]);
  if (const auto& average = step_->gradient_step().average()) average->swap(ctx_);
}

void Trainer::finish_stage() {
  put_result();
  for (std::size_t i = 0; i < best_.size(); ++i) values_[i].assign(ctx_, best_[i]);
  ++at_.stage;
  at_.epoch = 0;
  at_.waited = 0;
  const bool at_end = at_.stage == recipe_.stages.size();
  if (recipe_.norm == NormMode::batch_recalibrate || (at_end && recipe_.norm == NormMode::recalibrate)) {
    recalibrate();
  }
  begin_stage();
}

void Trainer::recalibrate() {
  recalibrate_on(ctx_, model_, preprocessing_, images_, images_.train, loader_threads_);
}

// The first rank's numbers come to all, as ranks on processors of several kinds part by rounding. On those of
// one kind nothing changes.
void Trainer::align_ranks() const {
  if (ctx_.ranks().alone()) return;
  const auto align = [&](const std::vector<Tensor>& tensors) {
    for (const Tensor& tensor : tensors) {
      std::vector<float> values = tensor.to_vector<float>(ctx_);
      ctx_.ranks().broadcast(std::as_writable_bytes(std::span(values)));
      tensor.assign(ctx_, std::span<const float>(values));
    }
  };
  align(values_);
  align(best_);
  align(start_);
  const Adam& adam = step_->gradient_step().adam();
  align(adam.first_moments());
  align(adam.second_moments());
  if (const auto& average = step_->gradient_step().average()) align(average->averages());
}

void Trainer::save(Checkpoint& checkpoint) const {
  put_all(ctx_, checkpoint, "value ", values_);
  checkpoint.put_integer("stage", static_cast<std::int64_t>(at_.stage));
  checkpoint.put_integer("epoch", at_.epoch);
  checkpoint.put_integer("batch", at_.batch);
  checkpoint.put_integer("step", at_.step);
  checkpoint.put_integer("epochs", at_.epochs);
  checkpoint.put_number("loss", at_.loss);
  checkpoint.put_integer("correct", at_.correct);
  checkpoint.put_integer("images", at_.images);
  checkpoint.put_number("best", at_.best);
  checkpoint.put_integer("waited", at_.waited);
  checkpoint.put_integer("has best", !best_.empty());
  put_all(ctx_, checkpoint, "best ", best_);
  put_all(ctx_, checkpoint, "start ", start_);
  if (!step_) return;
  const TrainingStep& step = *step_;
  const Adam& adam = step.gradient_step().adam();
  checkpoint.put_integer("adam steps", adam.steps());
  put_all(ctx_, checkpoint, "adam first ", adam.first_moments());
  put_all(ctx_, checkpoint, "adam second ", adam.second_moments());
  if (const auto& average = step.gradient_step().average()) {
    checkpoint.put_integer("average updates", average->updates());
    put_all(ctx_, checkpoint, "average ", average->averages());
  }
  if (const auto& scale = step.gradient_step().loss_scale()) {
    checkpoint.put_number("loss scale", scale->scale());
    checkpoint.put_integer("loss scale good steps", scale->good_steps());
  }
}

void Trainer::restore(const Checkpoint& checkpoint) {
  at_.stage = static_cast<std::size_t>(checkpoint.integer("stage"));
  if (at_.stage > recipe_.stages.size()) throw FileError("the checkpoint is of another recipe");
  begin_stage();
  at_.epoch = static_cast<int>(checkpoint.integer("epoch"));
  at_.batch = checkpoint.integer("batch");
  at_.step = checkpoint.integer("step");
  at_.epochs = checkpoint.integer("epochs");
  at_.loss = checkpoint.number("loss");
  at_.correct = checkpoint.integer("correct");
  at_.images = checkpoint.integer("images");
  at_.best = checkpoint.number("best");
  at_.waited = static_cast<int>(checkpoint.integer("waited"));
  if (at_.batch < 0 || at_.batch >= batches_per_epoch() || at_.epoch < 0) {
    throw FileError("the checkpoint is of another training");
  }
  get_all(ctx_, checkpoint, "value ", values_);
  if (checkpoint.integer("has best") != 0) {
    copy_all(ctx_, values_, best_);
    get_all(ctx_, checkpoint, "best ", best_);
  }
  get_all(ctx_, checkpoint, "start ", start_);
  if (!step_) return;
  Adam& adam = step_->gradient_step().adam();
  adam.restore_steps(ctx_, checkpoint.integer("adam steps"));
  get_all(ctx_, checkpoint, "adam first ", adam.first_moments());
  get_all(ctx_, checkpoint, "adam second ", adam.second_moments());
  if (auto& average = step_->gradient_step().average()) {
    average->restore_updates(checkpoint.integer("average updates"));
    get_all(ctx_, checkpoint, "average ", average->averages());
  }
  if (auto& scale = step_->gradient_step().loss_scale()) {
    scale->restore(ctx_, checkpoint.number("loss scale"), checkpoint.integer("loss scale good steps"));
  }
}

std::int64_t Trainer::images_in(const Recipe& recipe, std::size_t images) {
  std::int64_t epochs = 0;
  for (const Stage& part : recipe.stages) epochs += part.epochs;
  return epochs * static_cast<std::int64_t>(images);
}

std::int64_t Trainer::done_images() const {
  std::int64_t epochs = at_.epoch;
  for (std::size_t s = 0; s < at_.stage; ++s) epochs += recipe_.stages[s].epochs;
  return epochs * static_cast<std::int64_t>(images_.train.size()) + at_.images;
}

}  // namespace pila
