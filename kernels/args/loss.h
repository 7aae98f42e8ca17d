// Softmax and the sparse softmax cross-entropy.
#pragma once

#include "kernels/args/types.h"

namespace pila::kernels {

// y[r,:] = exp(x[r,:]) / sum(exp(x[r,:])), shifted by the row's largest value. y may be x.
struct SoftmaxForward {
  DType type = DType::f32;
  std::int64_t rows = 0, columns = 0;
  const void* x = nullptr;
  void* y = nullptr;
};

// dx = y * (dy - sum(dy * y)). dx may be dy.
struct SoftmaxBackward {
  DType type = DType::f32;
  std::int64_t rows = 0, columns = 0;
  const void* y = nullptr;
  const void* dy = nullptr;
  void* dx = nullptr;
};

// loss[r] = weight[label[r]] * -sum(target * log softmax(logits[r,:])), with
// target = one-hot(label) * (1 - smoothing) + smoothing / classes. Labels lie in [0, classes).
struct CrossEntropyForward {
  DType type = DType::f32;
  std::int64_t rows = 0, classes = 0;
  double smoothing = 0;
  const void* logits = nullptr;          // [rows, classes]
  const std::int32_t* labels = nullptr;  // [rows]
  const void* class_weights = nullptr;   // [classes] of `type`, or null for ones
  void* losses = nullptr;                // [rows]
};

// dlogits = dloss[r] * weight[label[r]] * (softmax(logits) - target).
struct CrossEntropyBackward {
  DType type = DType::f32;
  std::int64_t rows = 0, classes = 0;
  double smoothing = 0;
  const void* logits = nullptr;
  const std::int32_t* labels = nullptr;
  const void* class_weights = nullptr;
  const void* dlosses = nullptr;  // [rows]
  void* dlogits = nullptr;
};

}  // namespace pila::kernels
