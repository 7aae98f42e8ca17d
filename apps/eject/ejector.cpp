#include "apps/eject/ejector.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/eject/kinds.h"
#include "engine/core/error.h"

namespace pila {
namespace {

constexpr int kPulseMilliseconds = 50, kLongestPulseMilliseconds = 5000;

// What follows the beginning; throws UsageError when that is nothing.
std::string rest_of(const std::string& uri, std::size_t beginning) {
  if (uri.size() == beginning || uri.find('\0') != std::string::npos) {
    throw UsageError(uri.substr(0, beginning) + ": expected a path after it");
  }
  return uri.substr(beginning);
}

}  // namespace

std::unique_ptr<Ejector> open_ejector(const std::string& uri) {
  if (uri.starts_with("exec:")) return make_exec_ejector(rest_of(uri, 5));
  if (uri.starts_with("file:")) return make_file_ejector(rest_of(uri, 5));
  const DeviceUri parsed = parse_device_uri(uri);
  if (parsed.scheme == "mqtt" || parsed.scheme == "mqtts") return make_mqtt_ejector(parsed);
  if (parsed.scheme == "modbus") return make_modbus_ejector(parsed);
  if (parsed.scheme == "gpio") return make_gpio_ejector(parsed);
  throw UsageError(parsed.shown +
                   ": expected mqtt://, mqtts://, modbus://, gpio://, exec:PROGRAM or file:PATH");
}

std::string to_json(const Shot& shot, Shot::Time now) {
  const double due_in_ms = std::chrono::duration<double, std::milli>(shot.due - now).count();
  const nlohmann::ordered_json line = {{"bin", shot.bin},
                                       {"item", shot.item},
                                       {"label", shot.label},
                                       {"probability", shot.probability},
                                       {"due_in_ms", std::round(due_in_ms * 1000) / 1000}};
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::chrono::milliseconds pulse_of(const DeviceUri& uri) {
  const auto given = uri.query.find("pulse_ms");
  if (given == uri.query.end()) return std::chrono::milliseconds(kPulseMilliseconds);
  return std::chrono::milliseconds(
      parse_number(given->second, 1, kLongestPulseMilliseconds, "pulse_ms", uri.shown));
}

std::vector<int> outputs_of(const std::map<std::string, int>& bins) {
  std::vector<int> outputs;
  for (const auto& [bin, output] : bins) outputs.push_back(output);
  return outputs;
}

}  // namespace pila
