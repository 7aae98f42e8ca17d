// A device: its memory, its kernels, and the cache of blocks that tensors live in.
#pragma once

#include <memory>
#include <string>

#include "engine/core/allocator.h"
#include "kernels/device_api.h"
#include "kernels/kernel_table.h"

namespace pila {

class Device {
 public:
  // The CPU with its fast kernels. threads: 0 for all cores.
  static std::shared_ptr<Device> cpu(int threads = 0);
  // The CPU with the reference kernels only: slow, exact, also for float64.
  static std::shared_ptr<Device> reference();
  // The NVIDIA GPU of that index. Throws DeviceError that says why where there is none to use: no GPU, no or
  // an old driver, no code for it in this program, a program built without CUDA.
  static std::shared_ptr<Device> cuda(int index = 0);

  // threads: of the stream, as DeviceApi::create_stream() takes them. description: for people.
  Device(std::string name, std::unique_ptr<kernels::DeviceApi> api, const kernels::KernelTable& kernels,
         int threads, std::string description = {});

  const std::string& name() const { return name_; }                // "cpu", "cuda:0"
  const std::string& description() const { return description_; }  // a GPU's model and size; else the name
  kernels::DeviceApi& api() { return *api_; }
  const kernels::KernelTable& kernels() const { return kernels_; }
  kernels::Stream& stream() { return *stream_; }  // the device's default stream
  Allocator& allocator() { return *allocator_; }
  // Gives what the cache holds back to the system, and what the C library keeps of it.
  void give_back_memory();

 private:
  std::string name_, description_;
  std::unique_ptr<kernels::DeviceApi> api_;
  const kernels::KernelTable& kernels_;
  std::unique_ptr<kernels::Stream> stream_;
  std::unique_ptr<Allocator> allocator_;
};

}  // namespace pila
