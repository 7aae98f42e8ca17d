// The gradients of batch normalisation: what its passes over rows work on, and its kernel.
#pragma once

#include <cstddef>

#include "kernels/cpu/norm_chunks.h"
#include "kernels/kernel_table.h"

namespace pila::kernels::cpu {

// A chunk of rows. With g = dy * slope of the activation:
struct GradientRows {
  const float* x;
  const float* dy;
  float* dx;
  std::size_t rows, channels;
  ChannelScaling scaling;
  float* sum;            // of g
  float* product_sum;    // of g * (x - mean)
  const float* along_x;  // dx = g * scale + (x - mean) * along_x + constant
  const float* constant;
  bool past_caches;  // how dx is written
};

enum class GradientPass { sums, sums_and_scaled_dx, dx };

// For float32.
Kernel<BatchNormBackward> batch_norm_backward_kernel();

}  // namespace pila::kernels::cpu
