#include <set>

#include "engine/core/error.h"
#include "engine/plan/passes/passes.h"

namespace pila {

LowerPrecision::LowerPrecision(Precision precision, Ranges ranges)
    : precision_(precision), ranges_(std::move(ranges)) {}

std::size_t LowerPrecision::run(const Context& ctx, Graph& graph) const {
  if (precision_ == Precision::f32 || ctx.kernels().stores_16_bits) return 0;
  std::set<std::string> unknown;
  if (precision_ == Precision::i8) {
    for (const auto& [name, range] : ranges_) unknown.insert(name);
  }
  std::size_t lowered = 0;
  for (const Node& node : graph.nodes()) {
    const auto matmul = attributes_of<ops::MatmulAttributes>(&node);
    if (!matmul || !can_be_lowered(graph, node)) continue;
    ops::MatmulAttributes attributes = *matmul;
    attributes.rounding.to = precision_;
    if (precision_ == Precision::i8) {
      const auto range = ranges_.find(node.name);
      if (range == ranges_.end()) continue;
      attributes.rounding.a = quantization_of(range->second);
      unknown.erase(node.name);
    }
    graph.replace(node, make_op(attributes), node.inputs, node.name);
    ++lowered;
  }
  if (!unknown.empty()) {
    throw UsageError("[plan] expected ranges of the network's products, got one of '" + *unknown.begin() +
                     "', which is none of them");
  }
  return lowered;
}

bool can_be_lowered(const Graph& graph, const Node& product) {
  const auto matmul = attributes_of<ops::MatmulAttributes>(&product);
  return matmul && !matmul->transpose_a && !matmul->transpose_b && graph.is_constant(product.inputs[1]) &&
         graph.value(product.inputs[0]).spec.type == DType::f32;
}

}  // namespace pila
