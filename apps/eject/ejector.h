// What throws an item off the belt.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace pila {

struct Shot {
  std::string bin;
  std::int64_t item = 0;
  std::string label;
  double probability = 0;
  std::chrono::steady_clock::time_point due;  // when it is to be fired
};

class Ejector {
 public:
  virtual ~Ejector() = default;
  // Fires now; returns when the device has it. Throws Error when that fails, or takes longer than a second;
  // a lost connection is made anew on the next call.
  virtual void fire(const Shot& shot) = 0;
  virtual std::string describe() const = 0;
};

// mqtt://[user:password@]host[:port]/topic, modbus://host[:port]/unit/bin=coil,bin=coil...[?pulse_ms=N],
// gpio://chip/bin=line,...[?pulse_ms=N], exec:PROGRAM. Throws UsageError for another URI, and for a kind that
// this build lacks; a device that cannot be reached yet is no error here.
std::unique_ptr<Ejector> open_ejector(const std::string& uri);

}  // namespace pila
