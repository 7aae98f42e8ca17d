#include <cmath>
#include <vector>

#include "engine/ops/ops.h"
#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

// On the host, since not every device computes in float64.
std::vector<double> values_of(const Context& ctx, const Tensor& tensor) {
  if (tensor.type() == DType::f64) return tensor.to_vector<double>(ctx);
  const auto values = ops::cast(ctx, tensor, DType::f32).to_vector<float>(ctx);
  return {values.begin(), values.end()};
}

Tensor tensor_of(const Context& ctx, const TensorSpec& spec, const std::vector<double>& values) {
  if (spec.type == DType::f64) return Tensor::from(ctx, spec.shape, values);
  const std::vector<float> rounded(values.begin(), values.end());
  return ops::cast(ctx, Tensor::from(ctx, spec.shape, rounded), spec.type);
}

bool all_constant(const Graph& graph, const std::vector<ValueId>& ids, std::size_t from) {
  for (std::size_t i = from; i < ids.size(); ++i) {
    if (!graph.is_constant(ids[i])) return false;
  }
  return true;
}

// What batch normalisation does to channel c: y = x * scale[c] + shift[c].
struct ChannelMap {
  std::vector<double> scale, shift;
};

ChannelMap map_of(const Context& ctx, const Graph& graph, const Node& norm, double epsilon) {
  const auto values = [&](std::size_t input) {
    return values_of(ctx, graph.value(norm.inputs[input]).constant);
  };
  const auto gamma = values(1), beta = values(2), mean = values(3), variance = values(4);
  ChannelMap map{gamma, beta};
  for (std::size_t c = 0; c < gamma.size(); ++c) {
    map.scale[c] = gamma[c] / std::sqrt(variance[c] + epsilon);
    map.shift[c] = beta[c] - mean[c] * map.scale[c];
  }
  return map;
}

// The operation `before` with weights and bias that do what `norm` does behind it. Output channels vary
// fastest in every kernel: HWIO, HWCM, [k, n].
template <class Attributes>
void fold(const Context& ctx, Graph& graph, const Node& before, Attributes attributes, const Node& norm,
          const ops::BatchNormAttributes& norm_attributes) {
  const ChannelMap map = map_of(ctx, graph, norm, norm_attributes.epsilon);
  const std::size_t channels = map.scale.size();
  const Tensor kernel = graph.value(before.inputs[1]).constant;
  std::vector<double> weights = values_of(ctx, kernel);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] *= map.scale[i % channels];
  std::vector<double> bias = map.shift;
  if (attributes.bias) {
    const auto old = values_of(ctx, graph.value(before.inputs[2]).constant);
    for (std::size_t c = 0; c < channels; ++c) bias[c] += old[c] * map.scale[c];
  }
  attributes.bias = true;
  attributes.activation = norm_attributes.activation;
  const TensorSpec bias_spec{{static_cast<std::int64_t>(channels)}, kernel.type()};
  const std::vector<ValueId> inputs = {before.inputs[0],
                                       graph.add_constant(tensor_of(ctx, kernel.spec(), weights)),
                                       graph.add_constant(tensor_of(ctx, bias_spec, bias))};
  graph.replace(norm, make_op(attributes), inputs, before.name);
}

template <class Attributes>
bool is_plain(const Attributes& attributes) {
  return attributes.activation == Activation::none && !attributes.residual;
}

bool try_fold(const Context& ctx, Graph& graph, const Node& norm) {
  const auto norm_attributes = attributes_of<ops::BatchNormAttributes>(&norm);
  if (!norm_attributes || !all_constant(graph, norm.inputs, 1)) return false;
  const Node* before = graph.producer(norm.inputs[0]);
  if (before == nullptr || graph.uses(norm.inputs[0]) != 1 || !all_constant(graph, before->inputs, 1)) {
    return false;
  }
  const auto conv = attributes_of<ops::ConvAttributes>(before);
  const auto matmul = attributes_of<ops::MatmulAttributes>(before);
  if (conv && is_plain(*conv)) {
    fold(ctx, graph, *before, *conv, norm, *norm_attributes);
    return true;
  }
  if (matmul && is_plain(*matmul) && !matmul->transpose_a && !matmul->transpose_b) {
    fold(ctx, graph, *before, *matmul, norm, *norm_attributes);
    return true;
  }
  return false;
}

}  // namespace

std::size_t FoldBatchNorm::run(const Context& ctx, Graph& graph) const {
  std::size_t folded = 0;
  for (const Node& node : graph.nodes()) folded += try_fold(ctx, graph, node) ? 1 : 0;
  graph.drop_unused();
  return folded;
}

}  // namespace pila
