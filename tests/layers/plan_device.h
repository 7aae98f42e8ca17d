// What CUDA's plans are tested on. The same tests are linked twice: with the emulation of tests/simt, which
// runs everywhere, and with a GPU.
#pragma once

#include <memory>
#include <string>

#include "engine/core/device.h"

namespace pila::test {

struct PlanDevice {
  std::string lacks;  // why there is no such device; empty where there is one
  std::shared_ptr<Device> device;
};

const PlanDevice& plan_device();

}  // namespace pila::test
