#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

// Whether a mean is over all axes of a product's result but the first and the last.
bool pools(const ops::ReduceAttributes& mean, const ops::MatmulAttributes& matmul) {
  const Shape& y = matmul.y;
  return mean.kind == kernels::ReduceKind::mean && y.rank() > 2 && mean.from == y && mean.outer == y[0] &&
         mean.inner == y[-1];
}

}  // namespace

std::size_t FusePooling::run(const Context&, Graph& graph) const {
  std::size_t fused = 0;
  for (const Node& node : graph.nodes()) {
    const auto mean = attributes_of<ops::ReduceAttributes>(&node);
    if (!mean || graph.uses(node.inputs[0]) != 1) continue;
    const Node* before = graph.producer(node.inputs[0]);
    const auto matmul = attributes_of<ops::MatmulAttributes>(before);
    if (!matmul || matmul->residual || matmul->transpose_a || matmul->transpose_b || !pools(*mean, *matmul)) {
      continue;
    }
    graph.replace(node,
                  make_op(ops::PooledMatmulAttributes{matmul->activation, matmul->bias, matmul->rounding}),
                  before->inputs, before->name);
    ++fused;
  }
  graph.drop_unused();
  return fused;
}

}  // namespace pila
