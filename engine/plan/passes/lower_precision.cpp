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

// The node's convolution with its factors rounded to bfloat16; null where it is none of such attributes.
template <class Attributes>
std::shared_ptr<const Op> rounded_conv(const Graph& graph, const Node& node) {
  const auto conv = attributes_of<Attributes>(&node);
  if (!conv || !reads_images(graph, node, conv->shape)) return nullptr;
  if constexpr (requires { conv->depthwise; }) {
    if (conv->depthwise) return nullptr;
  }
  Attributes attributes = *conv;
  attributes.rounding = Precision::bf16;
  return make_op(attributes);
}

std::shared_ptr<const Op> rounded_image_conv(const Graph& graph, const Node& node) {
  const auto of_numbers = rounded_conv<ops::ConvAttributes>(graph, node);
  return of_numbers ? of_numbers : rounded_conv<ops::ImageConvAttributes>(graph, node);
}

}  // namespace

LowerPrecision::LowerPrecision(Precision precision, Ranges ranges)
    : precision_(precision), ranges_(std::move(ranges)) {}

std::size_t LowerPrecision::run(const Context& ctx, Graph& graph) const {
  if (precision_ == Precision::f32 || ctx.kernels().stores_16_bits) return 0;
  std::set<std::string> unknown;
  if (precision_ == Precision::i8) {
    for (const auto& [name, range] : ranges_) unknown.insert(name);
  }
  std::size_t lowered = 0;
  for (const Node& node : graph.nodes()) {
    if (precision_ == Precision::bf16) {
      if (const auto conv = rounded_image_conv(graph, node)) {
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
