#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

template <class Attributes>
bool has_room(const Attributes& attributes) {
  if (attributes.activation != Activation::none) return false;
  if constexpr (requires { attributes.residual; }) return !attributes.residual;
  return true;
}

template <class Attributes>
bool try_fuse(Graph& graph, const Node& node, Activation kind) {
  const Node* before = graph.producer(node.inputs[0]);
  const auto attributes = attributes_of<Attributes>(before);
  if (!attributes || !has_room(*attributes)) return false;
  Attributes with_activation = *attributes;
  with_activation.activation = kind;
  graph.replace(node, make_op(with_activation), before->inputs, before->name);
  return true;
}

}  // namespace

std::size_t FuseActivation::run(const Context&, Graph& graph) const {
  std::size_t fused = 0;
  for (const Node& node : graph.nodes()) {
    const auto activation = attributes_of<ops::ActivationAttributes>(&node);
    if (!activation || graph.uses(node.inputs[0]) != 1) continue;
    fused += try_fuse<ops::ConvAttributes>(graph, node, activation->kind) ||
                     try_fuse<ops::MatmulAttributes>(graph, node, activation->kind) ||
                     try_fuse<ops::BatchNormAttributes>(graph, node, activation->kind)
                 ? 1
                 : 0;
  }
  graph.drop_unused();
  return fused;
}

}  // namespace pila
