#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

bool changes_nothing(const Graph& graph, const Node& node) {
  if (const auto affine = attributes_of<ops::AffineAttributes>(&node)) {
    return affine->factor == 1 && affine->offset == 0;
  }
  if (const auto pad = attributes_of<ops::ZeroPadAttributes>(&node)) {
    const kernels::Borders& b = pad->borders;
    return b.top == 0 && b.bottom == 0 && b.left == 0 && b.right == 0;
  }
  if (const auto reshape = attributes_of<ops::ReshapeAttributes>(&node)) {
    return reshape->to == graph.value(node.inputs[0]).spec.shape;
  }
  return false;
}

}  // namespace

std::size_t DropIdentity::run(const Context&, Graph& graph) const {
  std::size_t dropped = 0;
  for (const Node& node : graph.nodes()) {
    if (!changes_nothing(graph, node)) continue;
    graph.redirect(node.outputs[0], node.inputs[0]);
    ++dropped;
  }
  graph.drop_unused();
  return dropped;
}

}  // namespace pila
