// What follows a sum: activation(sum + bias) + residual, in float32.
#pragma once

#include <cmath>

#include "kernels/args/types.h"
#include "kernels/cuda/device/cuda.cuh"

namespace pila::kernels::cuda {

// relu and relu6 let NaN through. Written so that a use compiles to a few instructions: there are many.
__device__ inline float activate(Activation kind, float x) {
  if (kind == Activation::silu || kind == Activation::sigmoid) {
    return (kind == Activation::silu ? x : 1.0f) / (1 + expf(-x));
  }
  const float low = kind == Activation::none ? -INFINITY : 0.0f;
  const float high = kind == Activation::relu6 ? 6.0f : INFINITY;
  return x <= low ? low : x >= high ? high : x;
}

}  // namespace pila::kernels::cuda
