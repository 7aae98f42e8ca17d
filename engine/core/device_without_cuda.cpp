#include "engine/core/device.h"
#include "engine/core/error.h"

namespace pila {

std::shared_ptr<Device> Device::cuda(int) {
  throw DeviceError("[cuda] this program was built without CUDA (PILA_CUDA)");
}

}  // namespace pila
