// Plain memory as a device's.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/device_api.h"
#include "kernels/kernel_table.h"
#include "tests/simt/schedule.h"

namespace pila::simt {

class Stream final : public kernels::Stream {
 public:
  explicit Stream(const Schedule& schedule) : schedule_(schedule) {}
  const Schedule& schedule() const { return schedule_; }

  // Does the work, or writes it down where work is being captured.
  kernels::Status queue(std::function<kernels::Status()> work) const {
    if (captured == nullptr) return work();
    captured->push_back(std::move(work));
    return nullptr;
  }
  std::vector<std::function<kernels::Status()>>* captured = nullptr;  // where to; null: nowhere

 private:
  Schedule schedule_;
};

// New memory holds NaN and lies between guards: synchronize(), download() and release() throw
// std::runtime_error where a kernel has written into one. Under AddressSanitizer the guards cannot be read
// either. Its streams run kernels, at once, under `schedule`.
std::unique_ptr<kernels::DeviceApi> create_device_api(const Schedule& schedule = kSchedules[0]);

// Whether all these bytes lie in one allocation of any such device.
bool is_device_memory(const void* address, std::size_t bytes);

}  // namespace pila::simt
