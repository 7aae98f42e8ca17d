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
  int multiprocessors = 0;
  std::size_t memory = 0, l2 = 0;  // bytes
  bool integrated = false;         // shares the host's memory, as on Jetson
  int driver = 0, runtime = 0;     // versions of CUDA: 13000 is 13.0
};

// "NVIDIA H200 (compute capability 9.0, 132 multiprocessors, 139.8 GiB, CUDA 13.0)".
std::string describe(const Gpu& gpu);

struct GpuList {
  std::vector<Gpu> gpus;
  std::string status;  // why the list is empty; empty itself where it is not
};

// The GPUs that CUDA can use, in CUDA's order. Throws nothing where there is no GPU or no driver.
GpuList list_gpus();

// The GPU of that index. Throws std::runtime_error, which says what is lacking: a driver, a newer one, a GPU
// of that index, or code for it in this program.
std::unique_ptr<DeviceApi> create_device_api(int index);

const KernelTable& table();

}  // namespace pila::kernels::cuda
