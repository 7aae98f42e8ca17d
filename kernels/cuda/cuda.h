// The CUDA kernels and an NVIDIA GPU as a device.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device_api.h"
#include "kernels/kernel_table.h"

namespace pila::kernels::cuda {

struct Gpu {
  int index = 0;  // as create_device_api() takes it
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::size_t memory = 0;    // bytes
};

struct GpuList {
  std::vector<Gpu> gpus;
  std::string status;  // why the list is empty; empty itself where it is not
};

// The GPUs that CUDA can use, in CUDA's order. Throws nothing where there is no GPU or no driver.
GpuList list_gpus();

// The GPU of that index. Throws std::runtime_error, which names the CUDA call that failed, when there is
// none.
std::unique_ptr<DeviceApi> create_device_api(int index);

const KernelTable& table();

}  // namespace pila::kernels::cuda
