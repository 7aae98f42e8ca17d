#include "engine/core/error.h"
#include "tests/layers/plan_device.h"

namespace pila::test {

const PlanDevice& plan_device() {
  static const PlanDevice instance = []() -> PlanDevice {
    try {
      return {"", Device::cuda(0)};
    } catch (const DeviceError& error) {
      return {error.what(), nullptr};
    }
  }();
  return instance;
}

}  // namespace pila::test
