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
  Prologue prologue = {};       // of x
  const float* w = nullptr;     // the first tap's weights
  std::ptrdiff_t tap_step = 0;  // from a tap's weights to the next tap's
  float* y = nullptr;
  const float* bias = nullptr;  // may be null
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  // A second pass over rows that still lie in the cache.
  Activation activation = Activation::none;
  const float* residual = nullptr;  // may be null
  bool past_caches = false;         // how y is written: slide() decides
};

// Computes all of y. ring: ImageRows::ring_size() numbers for each thread, null where that is 0.
void slide(Sliding job, ThreadPool& pool, float* ring = nullptr);

// A task's part of the outputs: some rows and channels of one image.
struct Slice {
  std::int64_t image, row_begin, row_end, channel_begin, channel_end;
};

// How outputs of [images, rows, columns, channels] are cut into slices. Of tiny images a slice has so few
// channels that the rows under a window stay in the first-level cache, of others all, so that memory is read
// in one stream, ahead of its use.
struct Slices {
  std::int64_t images, rows, columns, channels;
  std::int64_t least_rows = 1;
  std::int64_t channel_blocks = columns > 8 ? 1 : std::max<std::int64_t>(channels / channels_wanted(), 1);
  std::int64_t rows_each = std::max(
      least_rows, std::clamp<std::int64_t>(
                      16384 * channel_blocks / std::max<std::int64_t>(columns * channels, 1), 1, 32) *
                      2);  // some 100 KiB
  std::int64_t row_blocks = (rows + rows_each - 1) / rows_each;

  std::int64_t count() const { return images * row_blocks * channel_blocks; }
  std::int64_t size() const { return images * rows * columns * channels; }  // elements

  Slice operator[](std::int64_t index) const {
    const std::int64_t block = index % channel_blocks, row_block = index / channel_blocks % row_blocks;
    return {index / channel_blocks / row_blocks, row_block * rows_each,
            std::min((row_block + 1) * rows_each, rows), boundary(block), boundary(block + 1)};
  }

 private:
  static constexpr std::int64_t kMultiple = 64;  // of channels: cache lines belong to one slice

  std::int64_t channels_wanted() const {
    return std::max<std::int64_t>(2048 / std::max<std::int64_t>(columns, 1) / kMultiple, 1) * kMultiple;
  }
  std::int64_t boundary(std::int64_t block) const {
    if (block == channel_blocks) return channels;
    return channels * block / channel_blocks / kMultiple * kMultiple;
  }
};

// For float32.
Kernel<DepthwiseBackwardData> depthwise_backward_data_kernel();
Kernel<DepthwiseBackwardFilter> depthwise_backward_filter_kernel();
Kernel<DepthwiseGradients> depthwise_gradients_kernel();         // of windows that can be taken in one pass
Kernel<DepthwiseGradients> depthwise_gradients_passes_kernel();  // of all others

}  // namespace pila::kernels::cpu
