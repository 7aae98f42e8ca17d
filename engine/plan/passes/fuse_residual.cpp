#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

// Whether the node that makes term `i` of a sum takes the other term as its residual.
template <class Attributes>
bool try_fuse(Graph& graph, const Node& sum, std::size_t i) {
  const ValueId term = sum.inputs[i], other = sum.inputs[1 - i];
  const Node* maker = graph.producer(term);
  const auto attributes = attributes_of<Attributes>(maker);
  if (!attributes || attributes->residual || graph.uses(term) != 1) return false;
  Attributes with_residual = *attributes;
  with_residual.residual = true;
  std::vector<ValueId> inputs = maker->inputs;
  inputs.push_back(other);
  graph.replace(sum, make_op(with_residual), inputs, maker->name);
  return true;
}

}  // namespace

std::size_t FuseResidual::run(const Context&, Graph& graph) const {
  std::size_t fused = 0;
  for (const Node& node : graph.nodes()) {
    const auto binary = attributes_of<ops::BinaryAttributes>(&node);
    if (!binary || binary->kind != kernels::BinaryKind::add || binary->a != binary->b) continue;
    for (const std::size_t term : {1, 0}) {  // networks add what a block made to what it read
      if (try_fuse<ops::ConvAttributes>(graph, node, term) ||
          try_fuse<ops::MatmulAttributes>(graph, node, term)) {
        ++fused;
        break;
      }
    }
  }
  graph.drop_unused();
  return fused;
}

}  // namespace pila
