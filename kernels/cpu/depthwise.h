// Depthwise convolutions with one output channel for each input channel.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/args/conv.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/kernel_table.h"

namespace pila::kernels::cpu {

constexpr int kMaxDepthwiseTaps = 16;  // along one side of a window

// What the loops here can do.
inline bool is_plain_depthwise(DType type, const ConvShape& shape) {
  return type == DType::f32 && shape.in_c == shape.out_c && shape.window.kernel_h <= kMaxDepthwiseTaps &&
         shape.window.kernel_w <= kMaxDepthwiseTaps;
}

// A window that slides over images: y = activation(clamp(bias + sum over taps of x * w)) + residual. The
// forward pass, and with the taps in reverse order the way back where the stride is 1.
struct Sliding {
  ConvShape shape;
  const float* x = nullptr;
  const float* w = nullptr;     // the first tap's weights
  std::ptrdiff_t tap_step = 0;  // from a tap's weights to the next tap's
  float* y = nullptr;
  const float* bias = nullptr;  // may be null
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  // A second pass over rows that still lie in the cache.
  Activation activation = Activation::none;
  const float* residual = nullptr;  // may be null
};

// Computes all of y.
void slide(const Sliding& job, ThreadPool& pool);

// Rows that one task computes at a time: an even number, some tens of KiB where an image has that much.
inline std::int64_t rows_per_task(std::int64_t row_size) {
  return std::clamp<std::int64_t>(16384 / std::max<std::int64_t>(row_size, 1), 1, 32) * 2;
}

// For float32.
Kernel<DepthwiseBackwardData> depthwise_backward_data_kernel();
Kernel<DepthwiseBackwardFilter> depthwise_backward_filter_kernel();

}  // namespace pila::kernels::cpu
