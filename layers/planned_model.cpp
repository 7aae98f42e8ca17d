#include "layers/planned_model.h"

#include <utility>

#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace pila {

PlannedModel::PlannedModel(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
                           GraphInput input, PlanOptions options)
    : ctx_(ctx.inference().no_grad()),
      model_(model),
      preprocessing_(preprocessing),
      input_(input),
      options_(std::move(options)) {
  check(ctx, options_);
}

const Session& PlannedModel::session(std::int64_t batch) {
  const auto known = sessions_.find(batch);
  if (known != sessions_.end()) return known->second;
  Graph graph = trace_model(ctx_, model_, preprocessing_, batch, input_);
  return sessions_.emplace(batch, Session(Plan::build(ctx_, std::move(graph), options_))).first->second;
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

}  // namespace pila
