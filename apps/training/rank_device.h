// What each of several processes computes on.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/core/device.h"
#include "engine/parallel/communicator.h"

namespace pila {

// How a process comes by a GPU and by what connects it with others.
struct GpuAccess {
  std::function<std::shared_ptr<Device>(int index)> open = Device::cuda;
  std::string nccl = "libnccl.so.2";
};

// The device of that name, as --device has it, for one of several ranks; all call it. "cuda": the GPU of the
// rank's number among those on its machine; the ranks sum tensors from GPU to GPU then. "auto": the same
// where every rank has a GPU, else the processor for all; the first rank says on stderr which rank has none,
// and why. threads: of the processor. Throws DeviceError, the same on all, where "cuda" is asked for and some
// rank cannot use its GPU, UsageError for "cuda:N".
std::shared_ptr<Device> open_rank_device(const std::string& name, int threads, Communicator& ranks,
                                         const GpuAccess& access = {});

}  // namespace pila
