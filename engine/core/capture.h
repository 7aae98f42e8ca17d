// Work that is written down instead of done.
#pragma once

#include <functional>
#include <memory>

#include "kernels/device_api.h"

namespace pila {

// What `work` queues on the stream, for a device that captures. Throws what the work throws, and leaves the
// stream usable.
std::unique_ptr<kernels::CapturedWork> capture(kernels::DeviceApi& api, kernels::Stream& stream,
                                               const std::function<void()>& work);

}  // namespace pila
