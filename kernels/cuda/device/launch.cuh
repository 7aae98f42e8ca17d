// The one way kernels are started: a plain function call, which a host compiler can read too.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/cuda/stream.h"
#include "kernels/kernel_table.h"

namespace pila::kernels::cuda {

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
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
  const cudaError_t error = cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid.blocks, grid.threads,
                                             pointers, grid.shared_bytes, handle_of(*on.stream));
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace pila::kernels::cuda
