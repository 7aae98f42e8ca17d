#include "engine/core/device.h"

#include <utility>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"

namespace pila {

std::shared_ptr<Device> Device::cpu(int threads) {
  return std::make_shared<Device>("cpu", kernels::cpu::create_device_api(), kernels::cpu::table(), threads);
}

std::shared_ptr<Device> Device::reference() {
  return std::make_shared<Device>("reference", kernels::cpu::create_device_api(), kernels::reference::table(),
                                  1);
}

Device::Device(std::string name, std::unique_ptr<kernels::DeviceApi> api, const kernels::KernelTable& kernels,
               int threads, std::string description)
    : name_(std::move(name)),
      description_(description.empty() ? name_ : std::move(description)),
      api_(std::move(api)),
      kernels_(kernels),
      stream_(api_->create_stream(threads)),
      allocator_(std::make_unique<Allocator>(*api_)) {}

void Device::give_back_memory() {
  allocator_->empty_cache();
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace pila
