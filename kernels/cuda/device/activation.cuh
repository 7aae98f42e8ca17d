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

// The activation's slope at its input; 0 at NaN, at 0 and, for relu6, at 6.
__device__ inline float slope_at(Activation kind, float x) {
  if (kind == Activation::silu || kind == Activation::sigmoid) {
    const float s = 1 / (1 + expf(-x));
    return kind == Activation::silu ? s * (1 + x * (1 - s)) : s * (1 - s);
  }
  const float high = kind == Activation::relu6 ? 6.0f : INFINITY;
  return kind == Activation::none || (x > 0 && x < high) ? 1.0f : 0.0f;
}

// The same by what the activation gave; of all but silu, whose input that does not tell.
__device__ inline float slope_from_output(Activation kind, float y) {
  if (kind == Activation::sigmoid) return y * (1 - y);
  const float high = kind == Activation::relu6 ? 6.0f : INFINITY;
  return kind == Activation::none || (y > 0 && y < high) ? 1.0f : 0.0f;
}

// A gradient on its way back; what a slope of 0 holds back may be infinite.
__device__ inline float through(float slope, float gradient) { return slope == 0 ? 0 : gradient * slope; }

}  // namespace pila::kernels::cuda
