// Sums and means along the middle axis of [outer, reduced, inner], and their transposes.
#pragma once

#include "kernels/args/types.h"

namespace pila::kernels {

enum class ReduceKind : std::uint8_t { sum, mean };

// y[o,i] = sum or mean over r of x[o,r,i]. Global average pooling is [batch, height * width, channels].
struct Reduce {
  DType type = DType::f32;
  ReduceKind kind = ReduceKind::sum;
  std::int64_t outer = 1, reduced = 1, inner = 1;
  const void* x = nullptr;
  void* y = nullptr;
};

// y[o,r,i] = x[o,i] * scale.
struct Repeat {
  DType type = DType::f32;
  std::int64_t outer = 1, repeated = 1, inner = 1;
  double scale = 1;
  const void* x = nullptr;
  void* y = nullptr;
};

}  // namespace pila::kernels
