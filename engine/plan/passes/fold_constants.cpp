#include <algorithm>
#include <vector>

#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

bool reads_only_constants(const Graph& graph, const Node& node) {
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (!graph.is_constant(node.inputs[i]) || node.op->writes(i)) return false;
  }
  return !node.outputs.empty();
}

}  // namespace

std::size_t FoldConstants::run(const Context& ctx, Graph& graph) const {
  std::size_t folded = 0;
  for (const Node& node : graph.nodes()) {
    if (!reads_only_constants(graph, node)) continue;
    std::vector<Tensor> inputs;
    for (const ValueId input : node.inputs) inputs.push_back(graph.value(input).constant);
    const std::vector<Tensor> results = apply(ctx, node.op, inputs);
    for (std::size_t i = 0; i < results.size(); ++i) {
      graph.redirect(node.outputs[i], graph.add_constant(results[i]));
    }
    ++folded;
  }
  graph.drop_unused();
  return folded;
}

}  // namespace pila
