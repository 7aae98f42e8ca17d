// What follows a sum: activation(sum + bias) + residual, in float32.
#pragma once

#include "kernels/args/types.h"
#include "kernels/cuda/device/cuda.cuh"

namespace pila::kernels::cuda {

// relu and relu6 let NaN through.
__device__ inline float activate(Activation kind, float x) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x <= 0 ? 0 : x;
    case Activation::relu6:
      return x <= 0 ? 0 : x >= 6 ? 6 : x;
    case Activation::silu:
      return x / (1 + expf(-x));
    case Activation::sigmoid:
      return 1 / (1 + expf(-x));
  }
  return x;
}

}  // namespace pila::kernels::cuda
