#include "tests/layers/plan_device.h"
#include "tests/simt/memory.h"
#include "tests/simt/table.h"

namespace pila::test {

const PlanDevice& plan_device() {
  static const PlanDevice& instance =
      *new PlanDevice{// the emulation's own statics may go before it
                      "", std::make_shared<Device>("emulated", simt::create_device_api(), simt::table(), 1)};
  return instance;
}

}  // namespace pila::test
