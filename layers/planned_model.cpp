#include "layers/planned_model.h"

#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace pila {

PlannedModel::PlannedModel(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
                           GraphInput input, PlanOptions options)
    : ctx_(ctx.inference().no_grad()),
      model_(&model),
      preprocessing_(preprocessing),
      input_(input),
      options_(std::move(options)) {
  check(ctx, options_);
}

std::int64_t PlannedModel::parts_of(std::int64_t batch) const {
  constexpr std::int64_t kImagesOfThread = 4;  // fewer would read the weights too often
  const std::int64_t images = kImagesOfThread * ctx_.stream().threads();
  return images > 0 && batch % images == 0 ? batch / images : 1;
}

const std::shared_ptr<const Plan>& PlannedModel::plan(std::int64_t batch) {
  if (only_ != 0 && batch != only_) {
    throw UsageError("[model] expected " + std::to_string(only_) + " images at a time, got " +
                     std::to_string(batch));
  }
  const std::int64_t images = batch / parts_of(batch);
  if (const auto known = plans_.find(images); known != plans_.end()) return known->second;
  Graph graph = trace_model(ctx_, *model_, preprocessing_, images, input_);
  return plans_.emplace(images, Plan::build(ctx_, std::move(graph), options_)).first->second;
}

const Session& PlannedModel::session(std::int64_t batch) {
  const auto known = sessions_.find(batch);
  if (known != sessions_.end()) return known->second;
  return sessions_.try_emplace(batch, plan(batch), SessionPlace{.parts = parts_of(batch)}).first->second;
}

Session PlannedModel::session_over(std::int64_t batch, void* images) {
  return Session(plan(batch), {.input = images, .parts = parts_of(batch)});
}

void PlannedModel::keep_only(std::int64_t batch, std::unique_ptr<Model> model) {
  plan(batch);
  only_ = batch;
  model_ = nullptr;
  model.reset();
  ctx_.device()->give_back_memory();
}

PlannedModel::Outputs PlannedModel::run(const Tensor& images) {
  if (images.shape().rank() != 4 || images.shape()[0] < 1) {
    throw ShapeError("[model] expected images [n, height, width, 3], got " + images.spec().to_string());
  }
  const Session& session = this->session(images.shape()[0]);
  session.input().assign(ctx_, images);
  session.run();
  const auto floats = [&](std::size_t output) {
    return ops::cast(ctx_, session.output(output), DType::f32).to_vector<float>(ctx_);
  };
  return {floats(kFeaturesOutput), floats(kLogitsOutput)};
}

void PlannedModel::submit(std::span<const float> images, std::int64_t batch) {
  const auto known = pipelines_.find(batch);
  Pipeline& pipeline = known != pipelines_.end()
                           ? known->second
                           : pipelines_.try_emplace(batch, ctx_, plan(batch), parts_of(batch)).first->second;
  pipeline.submit(std::as_bytes(images));
  under_way_.push_back(&pipeline);
}

std::pair<PlannedModel::Outputs, double> PlannedModel::collect() {
  if (under_way_.empty()) throw UsageError("[model] expected submit() before collect()");
  Pipeline& pipeline = *under_way_.front();
  under_way_.pop_front();
  Pipeline::Result result = pipeline.collect();
  return {{std::move(result.outputs[kFeaturesOutput]), std::move(result.outputs[kLogitsOutput])},
          result.milliseconds};
}

}  // namespace pila
