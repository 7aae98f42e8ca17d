#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

// The operation with its products lowered; null for one that has none.
struct Lowered {
  DType precision;

  std::shared_ptr<const Op> operator()(ops::MatmulAttributes matmul) const {
    return matmul.transpose_a || matmul.transpose_b ? nullptr : lower(matmul);
  }
  std::shared_ptr<const Op> operator()(ops::PooledMatmulAttributes matmul) const { return lower(matmul); }
  std::shared_ptr<const Op> operator()(ops::InvertedResidualAttributes block) const { return lower(block); }
  template <class Other>
  std::shared_ptr<const Op> operator()(const Other&) const {
    return nullptr;
  }

 private:
  template <class Attributes>
  std::shared_ptr<const Op> lower(Attributes& attributes) const {
    attributes.compute = precision;
    return make_op(attributes);
  }
};

}  // namespace

std::size_t LowerPrecision::run(const Context&, Graph& graph) const {
  if (precision_ == DType::f32) return 0;
  std::size_t lowered = 0;
  for (const Node& node : graph.nodes()) {
    auto op = std::visit(Lowered{precision_}, node.op->attributes());
    if (op == nullptr || graph.value(node.inputs[0]).spec.type != DType::f32) continue;
    graph.replace(node, std::move(op), node.inputs, node.name);
    ++lowered;
  }
  return lowered;
}

}  // namespace pila
