// Batch normalisation over the last axis, followed by an activation. Keras: BatchNormalization.
// x, y and their gradients have `type`; gamma, beta, statistics and their gradients are float64 where
// `type` is, else float32.
#pragma once

#include "kernels/args/types.h"

namespace pila::kernels {

// y = activation((x - mean) / sqrt(variance + epsilon) * gamma + beta), with mean and (biased) variance
// taken over the rows of x and handed out.
struct BatchNormTraining {
  DType type = DType::f32;
  std::int64_t rows = 0, channels = 0;
  double epsilon = 1e-3;
  Activation activation = Activation::none;
  const void* x = nullptr;      // [rows, channels]
  const void* gamma = nullptr;  // [channels]
  const void* beta = nullptr;   // [channels]
  void* y = nullptr;            // [rows, channels]
  void* mean = nullptr;         // [channels]
  void* variance = nullptr;     // [channels]
};

// The same with given statistics.
struct BatchNormInference {
  DType type = DType::f32;
  std::int64_t rows = 0, channels = 0;
  double epsilon = 1e-3;
  Activation activation = Activation::none;
  const void* x = nullptr;
  const void* gamma = nullptr;
  const void* beta = nullptr;
  const void* mean = nullptr;
  const void* variance = nullptr;
  void* y = nullptr;
};

// Gradients of either. With batch_statistics, mean and variance were computed from x and carry gradient;
// else they are constants. dx, dgamma, dbeta: null where not wanted.
struct BatchNormBackward {
  DType type = DType::f32;
  std::int64_t rows = 0, channels = 0;
  double epsilon = 1e-3;
  Activation activation = Activation::none;
  bool batch_statistics = true;
  const void* x = nullptr;
  const void* gamma = nullptr;
  const void* beta = nullptr;
  const void* mean = nullptr;
  const void* variance = nullptr;
  const void* dy = nullptr;
  void* dx = nullptr;
  void* dgamma = nullptr;
  void* dbeta = nullptr;
};

// average = average * momentum + value * (1 - momentum), in place; float32 or float64.
struct MovingAverage {
  DType type = DType::f32;
  std::int64_t count = 0;
  double momentum = 0.99;
  const void* value = nullptr;
  void* average = nullptr;
};

}  // namespace pila::kernels
