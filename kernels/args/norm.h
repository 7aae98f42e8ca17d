// Batch normalisation over the last axis, followed by an activation. Keras: BatchNormalization.
// x, y and their gradients have `type`; gamma, beta, statistics and their gradients are float64 where
// `type` is, else float32.
#pragma once

#include "kernels/args/types.h"

namespace pila::kernels {

// y = activation((x - mean) / sqrt(variance + epsilon) * gamma + beta), with mean and (biased) variance
// taken over the rows of x and handed out. Where y is null, x is only measured, and normalised by whoever
// reads it: scaling is what a Prologue takes.
struct BatchNormTraining {
  DType type = DType::f32;
  std::int64_t rows = 0, channels = 0;
  double epsilon = 1e-3;
  Activation activation = Activation::none;
  const void* x = nullptr;      // [rows, channels]
  const void* gamma = nullptr;  // [channels]
  const void* beta = nullptr;   // [channels]
  void* y = nullptr;            // [rows, channels], or null
  void* mean = nullptr;         // [channels]
  void* variance = nullptr;     // [channels]
  void* scaling = nullptr;      // [3, channels], or null
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

// The weights and bias of a convolution that does what one without a bias and normalisation by given
// statistics behind it do. With scale = gamma / sqrt(variance + epsilon): folded = w * scale, bias = beta -
// mean * scale. type: float32 or float64.
struct FoldBatchNorm {
  DType type = DType::f32;
  std::int64_t rows = 0, channels = 0;
  double epsilon = 1e-3;
  const void* w = nullptr;         // [rows, channels]: output channels are the last axis
  const void* gamma = nullptr;     // [channels]
  const void* beta = nullptr;      // [channels]
  const void* mean = nullptr;      // [channels]
  const void* variance = nullptr;  // [channels]
  void* folded = nullptr;          // [rows, channels]
  void* bias = nullptr;            // [channels]
};

// Its gradients, mean and variance being constants; beta's is dbias. dw, dgamma: null where not wanted.
struct FoldBatchNormBackward {
  DType type = DType::f32;
  std::int64_t rows = 0, channels = 0;
  double epsilon = 1e-3;
  const void* w = nullptr;
  const void* gamma = nullptr;
  const void* mean = nullptr;
  const void* variance = nullptr;
  const void* dfolded = nullptr;  // [rows, channels]
  const void* dbias = nullptr;    // [channels]
  void* dw = nullptr;
  void* dgamma = nullptr;
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
