// The kinds of ejectors and triggers, for open_ejector() and open_trigger().
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/eject/device_uri.h"
#include "apps/eject/ejector.h"
#include "apps/eject/trigger_signal.h"

namespace pila {

// All throw UsageError for what their kind does not know.
std::unique_ptr<Ejector> make_mqtt_ejector(const DeviceUri& uri);
std::unique_ptr<Ejector> make_modbus_ejector(const DeviceUri& uri);
std::unique_ptr<Ejector> make_gpio_ejector(const DeviceUri& uri);
std::unique_ptr<Ejector> make_exec_ejector(const std::string& program);
std::unique_ptr<Ejector> make_file_ejector(const std::string& path);
std::unique_ptr<TriggerSignal> make_mqtt_trigger(const DeviceUri& uri);
std::unique_ptr<TriggerSignal> make_gpio_trigger(const DeviceUri& uri);

// One JSON object in one line, without its end; `now` tells how long it is until the shot is due.
std::string to_json(const Shot& shot, Shot::Time now);

// How long an output stays on. Throws UsageError.
std::chrono::milliseconds pulse_of(const DeviceUri& uri);
std::vector<int> outputs_of(const std::map<std::string, int>& bins);

}  // namespace pila
