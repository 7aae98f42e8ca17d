// One optimizer step over all parameters.
#pragma once

#include "kernels/args/types.h"

namespace pila::kernels {

// One parameter of an update, `count` elements each.
struct AdamSegment {
  void* parameter = nullptr;
  const void* gradient = nullptr;
  void* first_moment = nullptr;
  void* second_moment = nullptr;
  std::int64_t count = 0;
  double weight_decay = 0;
  double rate_factor = 1;  // multiplies the rate for this parameter
};

// Adam as Keras computes it, with decoupled weight decay (AdamW): with t = *step (1 at the first update),
// lr = *rate * rate_factor, g = gradient * *gradient_scale:
//   w -= w * weight_decay * lr
//   m += (g - m) * (1 - beta1);  v += (g * g - v) * (1 - beta2)
//   w -= m * lr * sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + epsilon)
// type: float32 or float64. The pointed-to scalars lie on the device.
struct Adam {
  DType type = DType::f32;
  const AdamSegment* segments = nullptr;  // host memory
  std::int64_t segment_count = 0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  const std::int64_t* step = nullptr;
  const void* rate = nullptr;            // one number of `type`
  const void* gradient_scale = nullptr;  // one number of `type`; null for 1
};

}  // namespace pila::kernels
