#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

using Step = ops::InvertedResidualAttributes::Step;

constexpr int kLargestWindow = 5;  // of the depthwise convolutions that mobile networks have

bool is_pixel_by_pixel(const ops::MatmulAttributes& matmul) {
  return matmul.a.rank() == 4 && matmul.y.rank() == 4 && !matmul.transpose_a && !matmul.transpose_b;
}

bool suits(const ops::ConvAttributes& conv) {
  const kernels::ConvShape& s = conv.shape;
  return conv.depthwise && !conv.residual && s.in_c == s.out_c && s.window.kernel_h <= kLargestWindow &&
         s.window.kernel_w <= kLargestWindow;
}

Step step_of(const ops::ConvAttributes& conv) { return {true, conv.bias, conv.activation}; }

Step step_of(const ops::MatmulAttributes& matmul) {
  return {true, matmul.bias, matmul.activation, matmul.rounding};
}

bool try_fuse(Graph& graph, const Node& depthwise) {
  const auto conv = attributes_of<ops::ConvAttributes>(&depthwise);
  if (!conv || !suits(*conv)) return false;

  const Node* before = graph.uses(depthwise.inputs[0]) == 1 ? graph.producer(depthwise.inputs[0]) : nullptr;
  const auto expand = attributes_of<ops::MatmulAttributes>(before);
  const bool expands = expand && is_pixel_by_pixel(*expand) && !expand->residual;
  const Node* behind = graph.only_consumer(depthwise.outputs[0]);
  const auto project = attributes_of<ops::MatmulAttributes>(behind);
  const bool projects = project && is_pixel_by_pixel(*project) && behind->inputs[0] == depthwise.outputs[0];
  if (!expands && !projects) return false;
  if (expands && projects && expand->rounding.to != project->rounding.to) return false;

  ops::InvertedResidualAttributes block;
  block.shape = conv->shape;
  block.depthwise = step_of(*conv);
  std::vector<ValueId> inputs = expands ? before->inputs : std::vector{depthwise.inputs[0]};
  if (expands) block.expand = step_of(*expand);
  inputs.insert(inputs.end(), depthwise.inputs.begin() + 1, depthwise.inputs.end());
  if (projects) {
    block.project = step_of(*project);
    block.residual = project->residual;
    inputs.insert(inputs.end(), behind->inputs.begin() + 1, behind->inputs.end());
  }
  const Node& last = projects ? *behind : depthwise;
  graph.replace(last, make_op(block), inputs, last.name);
  return true;
}

}  // namespace

std::size_t FuseInvertedResidual::run(const Context&, Graph& graph) const {
  std::size_t fused = 0;
  for (const Node& node : graph.nodes()) fused += try_fuse(graph, node) ? 1 : 0;
  graph.drop_unused();
  return fused;
}

}  // namespace pila
