// What may keep a GPU from being used.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "kernels/cuda/cuda.h"

namespace pila::kernels::cuda {

// Given what cudaFuncGetAttributes(probe_kernel()) returned on the GPU: empty where it can run this program's
// kernels.
std::string why_no_code(const Gpu& gpu, cudaError_t error);

// A kernel that does nothing, compiled as all are.
const void* probe_kernel();

}  // namespace pila::kernels::cuda
