// What the lanes of a warp find out together.
#pragma once

#include "kernels/cuda/device/cuda.cuh"

namespace pila::kernels::cuda {

__device__ inline int lane() { return static_cast<int>(threadIdx.x % 32); }

// combine() over the values of all 32 lanes, in the same order for each of them where it is commutative. All
// lanes take part.
template <class Combine>
__device__ float reduce_warp(float value, const Combine& combine) {
  for (int flipped = 16; flipped > 0; flipped /= 2) {
    value = combine(value, __shfl_xor_sync(0xFFFFFFFFu, value, flipped));
  }
  return value;
}

}  // namespace pila::kernels::cuda
