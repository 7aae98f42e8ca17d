// The one way kernels are started: a plain function call, which a host compiler can read too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/device/cuda.cuh"
#include "kernels/kernel_table.h"

#if defined(__CUDACC__)
#include "kernels/cuda/stream.h"
#else
#include <simt/launch.h>
#endif

namespace pila::kernels::cuda {

// How many blocks of b it takes for a.
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Of the stream's GPU: 90 is compute capability 9.0. None in the emulation.
inline int architecture_of([[maybe_unused]] const Stream& stream) {
#if defined(__CUDACC__)
  return static_cast<const CudaStream&>(stream).architecture();
#else
  return 0;
#endif
}

struct Grid {
  dim3 blocks;
  dim3 threads;
  std::size_t shared_bytes = 0;  // dynamic shared memory of a block
};

template <class T>
struct Identity {
  using type = T;
};

// Queues kernel(arguments...) on the launch's stream; the arguments are converted as in a call. Returns
// CUDA's message where the launch was refused.
template <class... Parameters>
Status launch(void (*kernel)(Parameters...), const Grid& grid, const Launch& on,
              typename Identity<Parameters>::type... arguments) {
#if defined(__CUDACC__)
  constexpr std::size_t kWithoutAsking = 48 << 10;
  const auto* function = reinterpret_cast<const void*>(kernel);
  cudaError_t error = cudaSuccess;
  if (grid.shared_bytes > kWithoutAsking) {
    error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(grid.shared_bytes));
  }
  if (error == cudaSuccess) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
    error = cudaLaunchKernel(function, grid.blocks, grid.threads, pointers, grid.shared_bytes,
                             handle_of(*on.stream));
  }
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
#else
  return simt::launch({grid.blocks, grid.threads, grid.shared_bytes}, *on.stream,
                      [=] { kernel(arguments...); });
#endif
}

}  // namespace pila::kernels::cuda
