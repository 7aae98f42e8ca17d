// Where there is no libgpiod 1.
#include "apps/eject/kinds.h"
#include "engine/core/error.h"

namespace pila {

std::unique_ptr<Ejector> make_gpio_ejector(const DeviceUri& uri) {
  throw UsageError(uri.shown + ": this build of Pila has no GPIO; libgpiod 1 was missing");
}

std::unique_ptr<TriggerSignal> make_gpio_trigger(const DeviceUri& uri) {
  throw UsageError(uri.shown + ": this build of Pila has no GPIO; libgpiod 1 was missing");
}

}  // namespace pila
