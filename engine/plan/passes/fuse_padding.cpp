#include "engine/plan/passes/passes.h"

namespace pila {

std::size_t FusePadding::run(const Context&, Graph& graph) const {
  std::size_t fused = 0;
  for (const Node& node : graph.nodes()) {
    const auto conv = attributes_of<ops::ConvAttributes>(&node);
    if (!conv) continue;
    const Node* before = graph.producer(node.inputs[0]);
    const auto pad = attributes_of<ops::ZeroPadAttributes>(before);
    if (!pad) continue;
    ops::ConvAttributes attributes = *conv;
    attributes.shape.in_h = pad->borders.in_h;
    attributes.shape.in_w = pad->borders.in_w;
    attributes.shape.window.pad_top += pad->borders.top;
    attributes.shape.window.pad_left += pad->borders.left;
    std::vector<ValueId> inputs = node.inputs;
    inputs[0] = before->inputs[0];
    graph.replace(node, make_op(attributes), inputs, node.name);
    ++fused;
  }
  graph.drop_unused();
  return fused;
}

}  // namespace pila
