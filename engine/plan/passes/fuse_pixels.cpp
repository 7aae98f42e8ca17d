#include "engine/plan/passes/passes.h"

namespace pila {

std::size_t FusePixels::run(const Context&, Graph& graph) const {
  std::size_t fused = 0;
  for (const Node& node : graph.nodes()) {
    const auto conv = attributes_of<ops::ConvAttributes>(&node);
    if (!conv || conv->depthwise || conv->residual || conv->shape.groups != 1) continue;
    const Node* before = graph.producer(node.inputs[0]);
    const auto pixels = attributes_of<ops::ImageToFloatAttributes>(before);
    if (!pixels || pixels->type != graph.value(node.inputs[1]).spec.type) continue;
    std::vector<ValueId> inputs = node.inputs;
    inputs[0] = before->inputs[0];
    graph.replace(node,
                  make_op(ops::ImageConvAttributes{conv->shape, pixels->scale, pixels->offset,
                                                   conv->activation, conv->bias}),
                  inputs, node.name);
    ++fused;
  }
  graph.drop_unused();
  return fused;
}

}  // namespace pila
