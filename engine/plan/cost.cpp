#include "engine/plan/cost.h"

namespace pila {
namespace {

using kernels::ConvShape;

double pixels_in(const ConvShape& s) { return static_cast<double>(s.batch * s.in_h * s.in_w); }
double pixels_out(const ConvShape& s) { return static_cast<double>(s.batch * s.out_h * s.out_w); }
double taps(const ConvShape& s) { return static_cast<double>(s.window.kernel_h * s.window.kernel_w); }

struct MultiplyAdds {
  const Graph& graph;
  const Node& node;

  const Shape& input(std::size_t i) const { return graph.value(node.inputs[i]).spec.shape; }
  const Shape& output() const { return graph.value(node.outputs[0]).spec.shape; }

  double convolution(const ConvShape& s) const {
    return pixels_out(s) * taps(s) * static_cast<double>(s.in_c / s.groups * s.out_c);
  }

  double operator()(const ops::ConvAttributes& conv) const {
    const ConvShape& s = conv.shape;
    return conv.depthwise ? pixels_out(s) * taps(s) * static_cast<double>(s.out_c) : convolution(s);
  }
  double operator()(const ops::ImageConvAttributes& conv) const { return convolution(conv.shape); }
  double operator()(const ops::MatmulAttributes& matmul) const {
    const std::int64_t columns = matmul.a[-1];
    const std::int64_t inner = matmul.transpose_a ? matmul.a.elements() / columns : columns;
    return static_cast<double>(matmul.y.elements()) * static_cast<double>(inner);
  }
  double operator()(const ops::PooledMatmulAttributes&) const {
    return static_cast<double>(input(0).elements()) * static_cast<double>(output()[-1]);
  }
  double operator()(const ops::InvertedResidualAttributes& block) const {
    const ConvShape& s = block.shape;
    const auto wide = static_cast<double>(s.out_c);
    double sum = pixels_out(s) * taps(s) * wide;
    if (block.expand.present) sum += pixels_in(s) * static_cast<double>(input(0)[-1]) * wide;
    if (block.project.present) sum += pixels_out(s) * wide * static_cast<double>(output()[-1]);
    return sum;
  }
  template <class Other>
  double operator()(const Other&) const {
    return 0;
  }
};

}  // namespace

Cost cost_of(const Graph& graph, const Node& node) {
  Cost cost;
  cost.multiply_adds = std::visit(MultiplyAdds{graph, node}, node.op->attributes());
  for (const ValueId id : node.inputs) {
    const TensorSpec& spec = graph.value(id).spec;
    (graph.is_constant(id) ? cost.weight_bytes : cost.activation_bytes) += spec.bytes();
  }
  for (const ValueId id : node.outputs) cost.activation_bytes += graph.value(id).spec.bytes();
  return cost;
}

}  // namespace pila
