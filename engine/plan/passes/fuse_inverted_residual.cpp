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

// Makes one operation of the three, or of two where `expand` or `project` is null, if the device has a kernel
// for that.
bool fuse(const Context& ctx, Graph& graph, const Node* expand, const Node& depthwise, const Node* project) {
  ops::InvertedResidualAttributes block;
  const auto conv = attributes_of<ops::ConvAttributes>(&depthwise);
  block.shape = conv->shape;
  block.depthwise = step_of(*conv);
  std::vector<ValueId> inputs = expand != nullptr ? expand->inputs : std::vector{depthwise.inputs[0]};
  if (expand != nullptr) block.expand = step_of(*attributes_of<ops::MatmulAttributes>(expand));
  inputs.insert(inputs.end(), depthwise.inputs.begin() + 1, depthwise.inputs.end());
  if (project != nullptr) {
    const auto matmul = attributes_of<ops::MatmulAttributes>(project);
    block.project = step_of(*matmul);
    block.residual = matmul->residual;
    inputs.insert(inputs.end(), project->inputs.begin() + 1, project->inputs.end());
  }
  std::vector<TensorSpec> specs;
  for (const ValueId id : inputs) specs.push_back(graph.value(id).spec);
  if (!ops::has_kernel(ctx, block, specs)) return false;
  const Node& last = project != nullptr ? *project : depthwise;
  graph.replace(last, make_op(block), inputs, last.name);
  return true;
}

bool try_fuse(const Context& ctx, Graph& graph, const Node& depthwise) {
  const auto conv = attributes_of<ops::ConvAttributes>(&depthwise);
  if (!conv || !suits(*conv)) return false;

  const Node* before = graph.uses(depthwise.inputs[0]) == 1 ? graph.producer(depthwise.inputs[0]) : nullptr;
  const auto expand = attributes_of<ops::MatmulAttributes>(before);
  const bool expands = expand && is_pixel_by_pixel(*expand) && !expand->residual;
  const Node* behind = graph.only_consumer(depthwise.outputs[0]);
  const auto project = attributes_of<ops::MatmulAttributes>(behind);
  const bool projects = project && is_pixel_by_pixel(*project) && behind->inputs[0] == depthwise.outputs[0];
  if (expands && projects && expand->rounding.to != project->rounding.to) return false;

  return (expands && projects && fuse(ctx, graph, before, depthwise, behind)) ||
         (projects && fuse(ctx, graph, nullptr, depthwise, behind)) ||
         (expands && fuse(ctx, graph, before, depthwise, nullptr));
}

}  // namespace

std::size_t FuseInvertedResidual::run(const Context& ctx, Graph& graph) const {
  std::size_t fused = 0;
  for (const Node& node : graph.nodes()) fused += try_fuse(ctx, graph, node) ? 1 : 0;
  graph.drop_unused();
  return fused;
}

}  // namespace pila
