#include "layers/model_graph.h"

#include <array>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/plan/trace.h"

namespace pila {
namespace {

WeightNames weight_names(const Model& model) {
  WeightNames names;
  for (const Layer* layer : model.layers()) {
    for (const Parameter& parameter : layer->parameters()) names[parameter.value.id()] = layer->name();
  }
  return names;
}

}  // namespace

Graph trace_model(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
                  std::int64_t batch, GraphInput input) {
  const ModelSpec& spec = model.spec();
  const Shape shape{batch, spec.input_height, spec.input_width, 3};
  if (preprocessing.height != spec.input_height || preprocessing.width != spec.input_width) {
    throw ShapeError("[model] expected preprocessing to " + shape.to_string() + ", got " +
                     Shape{batch, preprocessing.height, preprocessing.width, 3}.to_string());
  }
  const TensorSpec images{shape, input == GraphInput::pixels ? DType::u8 : spec.type};
  const auto run = [&](const Context& tracing, std::span<const Tensor> inputs) {
    const Tensor x =
        input == GraphInput::pixels ? preprocess(tracing, inputs[0], preprocessing, spec.type) : inputs[0];
    Tensor features;  // what the backbone ends with is observed last
    const Tensor logits =
        model.logits(tracing, x, [&](const std::string&, const Tensor& output) { features = output; });
    features = ops::global_average_pool(tracing, features);
    return std::vector{features, model.classes() == 0 ? features : logits};
  };
  return trace(ctx.inference(), {&images, 1}, run, weight_names(model));
}

}  // namespace pila
