// Explicit zero padding and max pooling over NHWC images.
#pragma once

#include "kernels/args/conv.h"
#include "kernels/args/types.h"

namespace pila::kernels {

// Borders of an image. The padded image is [batch, top + in_h + bottom, left + in_w + right, channels].
struct Borders {
  std::int64_t batch = 0, in_h = 0, in_w = 0, channels = 0;
  int top = 0, bottom = 0, left = 0, right = 0;
};

// y = x with borders of zeros. Keras: ZeroPadding2D.
struct Pad {
  DType type = DType::f32;
  Borders borders;
  const void* x = nullptr;  // [batch, in_h, in_w, channels]
  void* y = nullptr;        // padded
};

// The inverse: y = x without its borders.
struct Crop {
  DType type = DType::f32;
  Borders borders;
  const void* x = nullptr;  // padded
  void* y = nullptr;        // [batch, in_h, in_w, channels]
};

// Largest value of each window; taps outside the image do not count. shape.out_c = shape.in_c.
// Keras: MaxPooling2D.
struct MaxPoolForward {
  DType type = DType::f32;
  ConvShape shape;
  const void* x = nullptr;
  void* y = nullptr;
};

// The gradient goes to the first largest tap of each window, in row order. dx is overwritten.
struct MaxPoolBackward {
  DType type = DType::f32;
  ConvShape shape;
  const void* x = nullptr;
  const void* dy = nullptr;
  void* dx = nullptr;
};

}  // namespace pila::kernels
