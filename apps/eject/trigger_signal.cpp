#include "apps/eject/trigger_signal.h"

#include "apps/eject/kinds.h"
#include "engine/core/error.h"

namespace pila {

std::unique_ptr<TriggerSignal> open_trigger(const std::string& uri) {
  const DeviceUri parsed = parse_device_uri(uri);
  if (parsed.scheme == "mqtt" || parsed.scheme == "mqtts") return make_mqtt_trigger(parsed);
  if (parsed.scheme == "gpio") return make_gpio_trigger(parsed);
  throw UsageError(parsed.shown + ": expected mqtt://, mqtts:// or gpio://");
}

}  // namespace pila
