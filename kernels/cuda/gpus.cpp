// Which GPUs there are, and whether this program can use them.
#include "kernels/cuda/gpus.h"

#include <array>
#include <cstdio>

#include "kernels/cuda/fault.h"

namespace pila::kernels::cuda {
namespace {

int version(cudaError_t (*get)(int*)) {
  int version = 0;
  return get(&version) == cudaSuccess ? version : 0;
}

Gpu gpu_of(int index, const cudaDeviceProp& properties) {
  Gpu gpu;
  gpu.index = index;
  gpu.name = properties.name;
  gpu.major = properties.major;
  gpu.minor = properties.minor;
  gpu.multiprocessors = properties.multiProcessorCount;
  gpu.memory = properties.totalGlobalMem;
  gpu.l2 = static_cast<std::size_t>(properties.l2CacheSize);
  gpu.integrated = properties.integrated != 0;
  gpu.driver = version(cudaDriverGetVersion);
  gpu.runtime = version(cudaRuntimeGetVersion);
  return gpu;
}

}  // namespace

std::string describe(const Gpu& gpu) {
  std::array<char, 160> rest{};
  std::snprintf(rest.data(), rest.size(),
                " (compute capability %d.%d, %d multiprocessors, %.1f GiB, CUDA %s)", gpu.major, gpu.minor,
                gpu.multiprocessors, static_cast<double>(gpu.memory) / (1 << 30),
                version_text(gpu.driver).c_str());
  return gpu.name + rest.data();
}

GpuList list_gpus() {
  GpuList list;
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  for (int index = 0; index < count && error == cudaSuccess; ++index) {
    cudaDeviceProp properties{};
    error = cudaGetDeviceProperties(&properties, index);
    if (error == cudaSuccess) list.gpus.push_back(gpu_of(index, properties));
  }
  if (error != cudaSuccess) list.gpus.clear();
  if (list.gpus.empty()) {
    cudaGetLastError();  // an error that was handled must not come up again in a later call
    list.status = why_no_gpu(error, version(cudaDriverGetVersion), version(cudaRuntimeGetVersion));
  }
  return list;
}

std::string why_no_code(const Gpu& gpu, cudaError_t error) {
  if (error == cudaSuccess) return {};
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction) {
    return "this program has no code for " + describe(gpu) +
           ": it was built for " PILA_CUDA_ARCHITECTURES " (CMAKE_CUDA_ARCHITECTURES)";
  }
  return describe(gpu) + ": " + cudaGetErrorString(error);
}

}  // namespace pila::kernels::cuda
