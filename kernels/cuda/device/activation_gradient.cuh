// The gradient behind an activation, from that of what it gave.
#pragma once

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"

namespace pila::kernels::cuda {

// dy times the slope, rounded; y is what the activation gave, which is not silu.
template <class T>
__device__ Pack<T> through_activation(Activation kind, const Pack<T>& dy, const Pack<T>& y) {
  Pack<T> result;
  for (int lane = 0; lane < Pack<T>::kLanes; ++lane) {
    const float slope = slope_from_output(kind, widen(y.lane[lane]));
    result.lane[lane] = narrow<T>(through(slope, widen(dy.lane[lane])));
  }
  return result;
}

}  // namespace pila::kernels::cuda
