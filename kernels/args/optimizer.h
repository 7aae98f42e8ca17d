// What happens to all parameters at once in a training step: one list of segments, one call.
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
  double rate_factor = 1;   // multiplies the rate for this parameter
  void* average = nullptr;  // the parameter's moving average, or null
};

// Adam as Keras computes it, with decoupled weight decay (AdamW): with t = *step (1 at the first update),
// lr = *rate * rate_factor, g = gradient * *gradient_scale:
//   w -= w * weight_decay * lr
//   m += (g - m) * (1 - beta1);  v += (g * g - v) * (1 - beta2)
//   w -= m * lr * sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + epsilon)
//   average = average * *momentum + w * (1 - *momentum)
// Where *gradient_scale is NaN nothing changes. type: float32 or float64. The pointed-to scalars lie on the
// device.
struct Adam {
  DType type = DType::f32;
  const AdamSegment* segments = nullptr;  // host memory
  std::int64_t segment_count = 0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  const std::int64_t* step = nullptr;
  const void* rate = nullptr;            // one number of `type`
  const void* gradient_scale = nullptr;  // one number of `type`; null for 1
  const double* momentum = nullptr;      // of the averages; null where there are none
};

// What brings a norm down to the limit: NaN for a norm that is not finite, as its difference to itself is.
constexpr double clip_factor(double norm, double limit) {
  return (norm <= limit ? 1 : limit / norm) + (norm - norm);
}

struct GradientSegment {
  const void* gradient = nullptr;
  std::int64_t count = 0;
};

// *norm = the Euclidean norm of all segments together / *loss_scale;
// *scale = clip_factor(*norm, limit) / *loss_scale.  type: float32 or float64.
struct GradientNorm {
  DType type = DType::f32;
  const GradientSegment* segments = nullptr;  // host memory
  std::int64_t segment_count = 0;
  double limit = 1;       // infinity: no clipping
  void* norm = nullptr;   // one number of `type`
  void* scale = nullptr;  // one number of `type`
  const void* loss_scale =
      nullptr;  // one number of `type`, which the gradients are multiplied by; null for 1
};

struct AverageSegment {
  const void* value = nullptr;
  void* average = nullptr;
  std::int64_t count = 0;
};

// average = average * *momentum + value * (1 - *momentum), in place; float32 or float64.
struct WeightAverage {
  DType type = DType::f32;
  const AverageSegment* segments = nullptr;  // host memory
  std::int64_t segment_count = 0;
  const double* momentum = nullptr;  // on the device
};

}  // namespace pila::kernels
