// Convolutions over NHWC images: dense or grouped, and depthwise. Weights: w and the epilogue's bias.
#pragma once

#include "kernels/args/precision.h"
#include "kernels/args/types.h"

namespace pila::kernels {

// A sliding window. Taps that fall outside the image read as zero, so padding at the bottom and right
// follows from the output size.
struct Window {
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int dilation_h = 1, dilation_w = 1;
  int pad_top = 0, pad_left = 0;
};

struct ConvShape {
  std::int64_t batch = 0;
  std::int64_t in_h = 0, in_w = 0, in_c = 0;
  std::int64_t out_h = 0, out_w = 0, out_c = 0;
  int groups = 1;  // input channels of group g feed output channels of group g only
  Window window;
};

// y[n,oh,ow,oc] = epilogue(sum over taps and the group's input channels of x * w).
// x: [batch, in_h, in_w, in_c]; w: HWIO [kernel_h, kernel_w, in_c / groups, out_c];
// y: [batch, out_h, out_w, out_c]. Keras: Conv2D.
struct ConvForward {
  DType type = DType::f32;
  ConvShape shape;
  const void* x = nullptr;
  const void* w = nullptr;
  void* y = nullptr;
  Epilogue epilogue;
  Precision rounding = Precision::f32;  // of x and w, where type is f32: f32, tf32 or bf16
};

// dx from dy and w (shapes as in ConvForward). dx is overwritten.
struct ConvBackwardData {
  DType type = DType::f32;
  ConvShape shape;
  const void* dy = nullptr;
  const void* w = nullptr;
  void* dx = nullptr;
  Precision rounding = Precision::f32;  // of dy and w, where type is f32: f32 or tf32
};

// dw from x and dy (shapes as in ConvForward). dw is overwritten.
struct ConvBackwardFilter {
  DType type = DType::f32;
  ConvShape shape;
  const void* x = nullptr;
  const void* dy = nullptr;
  void* dw = nullptr;
  Precision rounding = Precision::f32;  // of x and dy, where type is f32: f32 or tf32
};

// Depthwise: out_c = in_c * multiplier, output channel c * multiplier + m reads input channel c.
// w: HWCM [kernel_h, kernel_w, in_c, multiplier]; `groups` is not looked at. Keras: DepthwiseConv2D.
struct DepthwiseForward {
  DType type = DType::f32;
  ConvShape shape;
  const void* x = nullptr;
  const void* w = nullptr;
  void* y = nullptr;
  Prologue prologue = {};  // of x
  Epilogue epilogue;
};

struct DepthwiseBackwardData {
  DType type = DType::f32;
  ConvShape shape;
  const void* dy = nullptr;
  const void* w = nullptr;
  void* dx = nullptr;
};

struct DepthwiseBackwardFilter {
  DType type = DType::f32;
  ConvShape shape;
  const void* x = nullptr;
  const void* dy = nullptr;
  void* dw = nullptr;
  Prologue prologue = {};  // of x
};

// All gradients of y = activation(conv(prologue(x)) + bias) in one pass: with g = dy times the activation's
// slope, which follows from y, dx (of what the prologue gave) and dw are those of g, and dbias is its sums
// over all pixels. Activations as in MatmulGradients.
struct DepthwiseGradients {
  DType type = DType::f32;
  ConvShape shape;
  const void* x = nullptr;
  const void* w = nullptr;
  const void* y = nullptr;  // null where the activation is none
  const void* dy = nullptr;
  Prologue prologue = {};  // of x
  Activation activation = Activation::none;
  void* dx = nullptr;
  void* dw = nullptr;
  void* dbias = nullptr;  // [out_c] of channel_type(), or null
};

}  // namespace pila::kernels
