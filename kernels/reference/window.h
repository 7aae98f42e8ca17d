// Which input positions a sliding window's taps read, along one axis at a time.
#pragma once

#include <cstdint>

#include "kernels/args/conv.h"

namespace pila::kernels::reference {

struct Axis {
  std::int64_t in = 0, out = 0;
  int kernel = 1, stride = 1, dilation = 1, pad = 0;

  // The input position under `tap` of output `position`; negative when it lies outside.
  std::int64_t input(std::int64_t position, std::int64_t tap) const {
    const std::int64_t at = position * stride + tap * dilation - pad;
    return at < in ? at : -1;
  }
  // The output position whose `tap` reads input `position`; negative when there is none.
  std::int64_t output(std::int64_t position, std::int64_t tap) const {
    const std::int64_t at = position + pad - tap * dilation;
    return at >= 0 && at % stride == 0 && at / stride < out ? at / stride : -1;
  }
};

inline Axis vertical(const ConvShape& shape) {
  const Window& w = shape.window;
  return {shape.in_h, shape.out_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top};
}

inline Axis horizontal(const ConvShape& shape) {
  const Window& w = shape.window;
  return {shape.in_w, shape.out_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left};
}

// Calls body(tap, input pixel) for each tap of an output pixel that falls inside the image, in row order.
// Pixels are numbered through the whole batch, taps through the kernel.
template <class Body>
void for_taps(const ConvShape& shape, std::int64_t n, std::int64_t oh, std::int64_t ow, const Body& body) {
  const Axis rows = vertical(shape), columns = horizontal(shape);
  for (std::int64_t kh = 0; kh < rows.kernel; ++kh) {
    const std::int64_t ih = rows.input(oh, kh);
    if (ih < 0) continue;
    for (std::int64_t kw = 0; kw < columns.kernel; ++kw) {
      const std::int64_t iw = columns.input(ow, kw);
      if (iw >= 0) body(kh * columns.kernel + kw, (n * shape.in_h + ih) * shape.in_w + iw);
    }
  }
}

// Calls body(tap, output pixel) for each output pixel that reads an input pixel.
template <class Body>
void for_readers(const ConvShape& shape, std::int64_t n, std::int64_t ih, std::int64_t iw, const Body& body) {
  const Axis rows = vertical(shape), columns = horizontal(shape);
  for (std::int64_t kh = 0; kh < rows.kernel; ++kh) {
    const std::int64_t oh = rows.output(ih, kh);
    if (oh < 0) continue;
    for (std::int64_t kw = 0; kw < columns.kernel; ++kw) {
      const std::int64_t ow = columns.output(iw, kw);
      if (ow >= 0) body(kh * columns.kernel + kw, (n * shape.out_h + oh) * shape.out_w + ow);
    }
  }
}

// Calls body(output pixel, input pixel) for all pairs that one tap connects.
template <class Body>
void for_pairs(const ConvShape& shape, std::int64_t kh, std::int64_t kw, const Body& body) {
  const Axis rows = vertical(shape), columns = horizontal(shape);
  for (std::int64_t n = 0; n < shape.batch; ++n) {
    for (std::int64_t oh = 0; oh < shape.out_h; ++oh) {
      const std::int64_t ih = rows.input(oh, kh);
      if (ih < 0) continue;
      for (std::int64_t ow = 0; ow < shape.out_w; ++ow) {
        const std::int64_t iw = columns.input(ow, kw);
        if (iw < 0) continue;
        body((n * shape.out_h + oh) * shape.out_w + ow, (n * shape.in_h + ih) * shape.in_w + iw);
      }
    }
  }
}

// Calls body(n, row, column, pixel) for every pixel of a batch of images.
template <class Body>
void for_pixels(std::int64_t batch, std::int64_t height, std::int64_t width, const Body& body) {
  std::int64_t pixel = 0;
  for (std::int64_t n = 0; n < batch; ++n) {
    for (std::int64_t row = 0; row < height; ++row) {
      for (std::int64_t column = 0; column < width; ++column) body(n, row, column, pixel++);
    }
  }
}

}  // namespace pila::kernels::reference
