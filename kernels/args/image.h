// From a camera's pixels to a network's input.
#pragma once

#include "kernels/args/conv.h"
#include "kernels/args/types.h"

namespace pila::kernels {

constexpr int kMaxImageChannels = 4;

// y[i,c] = x[i,c] * scale[c] + offset[c], x of uint8.
struct ImageToFloat {
  DType type = DType::f32;  // of y
  std::int64_t pixels = 0;
  int channels = 3;
  float scale[kMaxImageChannels] = {1, 1, 1, 1};
  float offset[kMaxImageChannels] = {};
  const std::uint8_t* x = nullptr;
  void* y = nullptr;
};

// Bilinear, half-pixel centres, edges repeated, no smoothing before shrinking: what Keras and TensorFlow
// do by default (tf.image.resize). from: uint8, float32 or float64; to: float32 or float64.
struct ResizeBilinear {
  DType from = DType::u8, to = DType::f32;
  std::int64_t batch = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0;
  int channels = 3;
  const void* x = nullptr;
  void* y = nullptr;
};

// ConvForward over pixels: x = pixel * scale[channel] + offset[channel], and taps outside the image read as
// zero behind that. One group, at most kMaxImageChannels channels. Weights: w and the epilogue's bias.
struct ImageConvForward {
  DType type = DType::f32;  // of w and y
  ConvShape shape;
  const std::uint8_t* x = nullptr;
  float scale[kMaxImageChannels] = {1, 1, 1, 1};
  float offset[kMaxImageChannels] = {};
  const void* w = nullptr;
  void* y = nullptr;
  Epilogue epilogue;
  Precision rounding = Precision::f32;  // as ConvForward's; of pixels, what they are scaled to
};

}  // namespace pila::kernels
