#include "kernels/cuda/gpus.h"

namespace pila::kernels::cuda {
namespace {

__global__ void probe() {}

}  // namespace

const void* probe_kernel() { return reinterpret_cast<const void*>(probe); }

}  // namespace pila::kernels::cuda
