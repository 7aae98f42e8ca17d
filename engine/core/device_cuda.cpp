#include <stdexcept>

#include "engine/core/device.h"
#include "engine/core/error.h"
#include "kernels/cuda/cuda.h"

namespace pila {

std::shared_ptr<Device> Device::cuda(int index) {
  try {
    auto api = kernels::cuda::create_device_api(index);
    const auto gpu = kernels::cuda::list_gpus().gpus.at(static_cast<std::size_t>(index));
    return std::make_shared<Device>("cuda:" + std::to_string(index), std::move(api), kernels::cuda::table(),
                                    0, kernels::cuda::describe(gpu));
  } catch (const std::runtime_error& error) {  // the kernels know none of the engine's
    throw DeviceError(error.what());
  }
}

}  // namespace pila
