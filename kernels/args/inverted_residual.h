// The chain of convolutions that mobile networks are made of, as one operation: its wide tensor in the middle
// is used up where it is made. Inference only.
#pragma once

#include "kernels/args/conv.h"
#include "kernels/args/precision.h"

namespace pila::kernels {

// A pointwise convolution: y = activation(x * w + bias), w: [channels in, channels out].
struct Pointwise {
  const void* w = nullptr;     // null: there is no such step
  const void* bias = nullptr;  // [channels out] of channel_type(), or null
  Activation activation = Activation::none;
  Rounding rounding = {};
};

// y = project(depthwise(expand(x))) + residual. Without `expand` the depthwise convolution reads x itself,
// without `project` it writes y (and then there is no residual); one of the two is there. Taps of the
// depthwise window outside the image read as zero. Both products, where there
// are two, round to the same precision; the depthwise convolution, which has few multiplications, does not.
// Weights: all that are named w or bias. MobileNetV2, arXiv 1801.04381, figure 4d.
struct InvertedResidual {
  DType type = DType::f32;
  std::int64_t in_c = 0, out_c = 0;      // channels of x and y
  ConvShape depthwise;                   // in_c = out_c: the wide tensor's channels
  const void* x = nullptr;               // [batch, in_h, in_w, in_c]
  Pointwise expand;                      // w: [in_c, depthwise.in_c]
  const void* depthwise_w = nullptr;     // [kernel_h, kernel_w, depthwise.in_c]
  const void* depthwise_bias = nullptr;  // of channel_type(), or null
  Activation depthwise_activation = Activation::none;
  Pointwise project;               // w: [depthwise.in_c, out_c]
  const void* residual = nullptr;  // shaped as y, or null
  void* y = nullptr;               // [batch, out_h, out_w, out_c]
};

// What the block's products round their factors to.
inline Precision precision_of(const InvertedResidual& block) {
  return (block.project.w != nullptr ? block.project : block.expand).rounding.to;
}

}  // namespace pila::kernels
