// What device code is written in: CUDA under nvcc, and under a host compiler the emulation of tests/simt,
// whose header says what to keep to.
#pragma once

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include <simt/device.h>
#endif

namespace pila::kernels::cuda {

// The block's shared memory, aligned to 128 bytes, as large as its launch said.
template <class T>
__device__ T* shared_memory() {
#if defined(__CUDACC__)
  extern __shared__ __align__(128) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
#else
  return static_cast<T*>(simt::shared_memory());
#endif
}

}  // namespace pila::kernels::cuda
