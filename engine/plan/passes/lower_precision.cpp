#include <set>

#include "engine/core/error.h"
#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

// Whether a convolution has the few channels of an image, and a window without gaps.
bool reads_images(const Graph& graph, const Node& node, const kernels::ConvShape& shape) {
  return shape.groups == 1 && shape.in_c <= kernels::kMaxImageChannels && shape.window.dilation_h == 1 &&
         shape.window.dilation_w == 1 && graph.is_constant(node.inputs[1]) &&
         graph.value(node.outputs[0]).spec.type == DType::f32;
}

template <class Attributes>
std::shared_ptr<const Op> rounded(Attributes attributes, Precision precision) {
  attributes.rounding = precision;
  return make_op(attributes);
}

// The node's convolution with its factors rounded: to bfloat16 those of images, to TF32 any of numbers; null
// where it is no such convolution.
std::shared_ptr<const Op> rounded_conv(const Graph& graph, const Node& node, Precision precision) {
  const auto conv = attributes_of<ops::ConvAttributes>(&node);
  if (conv && !conv->depthwise && (precision == Precision::tf32 || reads_images(graph, node, conv->shape))) {
    return rounded(*conv, precision);
  }
  const auto of_pixels = attributes_of<ops::ImageConvAttributes>(&node);
  if (of_pixels && precision == Precision::bf16 && reads_images(graph, node, of_pixels->shape)) {
    return rounded(*of_pixels, precision);
  }
  return nullptr;
}

}  // namespace

LowerPrecision::LowerPrecision(Precision precision, Ranges ranges)
    : precision_(precision), ranges_(std::move(ranges)) {}

std::size_t LowerPrecision::run(const Context& ctx, Graph& graph) const {
  const bool rounds = precision_ == Precision::tf32 || !ctx.kernels().stores_16_bits;
  if (precision_ == Precision::f32 || !rounds) return 0;
  std::set<std::string> unknown;
  if (precision_ == Precision::i8) {
    for (const auto& [name, range] : ranges_) unknown.insert(name);
  }
  std::size_t lowered = 0;
  for (const Node& node : graph.nodes()) {
    if (precision_ != Precision::i8) {
      if (const auto conv = rounded_conv(graph, node, precision_)) {
        graph.replace(node, conv, node.inputs, node.name);
        ++lowered;
        continue;
      }
    }
    const auto matmul = attributes_of<ops::MatmulAttributes>(&node);
    if (!matmul || !can_be_lowered(graph, node)) continue;
    ops::MatmulAttributes attributes = *matmul;
    attributes.rounding.to = precision_;
    if (precision_ == Precision::i8) {
      const auto range = ranges_.find(node.name);
      if (range == ranges_.end()) continue;
      attributes.rounding.a = quantization_of(range->second);
      unknown.erase(node.name);
    }
    graph.replace(node, make_op(attributes), node.inputs, node.name);
    ++lowered;
  }
  if (!unknown.empty()) {
    throw UsageError("[plan] expected ranges of the network's products, got one of '" + *unknown.begin() +
                     "', which is none of them");
  }
  return lowered;
}

bool can_be_lowered(const Graph& graph, const Node& product) {
  const auto matmul = attributes_of<ops::MatmulAttributes>(&product);
  return matmul && !matmul->transpose_a && !matmul->transpose_b && graph.is_constant(product.inputs[1]) &&
         graph.value(product.inputs[0]).spec.type == DType::f32;
}

}  // namespace pila
