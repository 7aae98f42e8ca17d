// What throws an item off the belt.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace pila {

struct Shot {
  using Time = std::chrono::steady_clock::time_point;
  std::string bin;
  std::int64_t item = 0;
  std::string label;
  double probability = 0;
  Time due;                   // when it is to be fired
  Time latest = Time::max();  // and not after; EjectionQueue sets it
};

class Ejector {
 public:
  virtual ~Ejector() = default;
  // Whether there is something to be fired for that bin.
  virtual bool serves(const std::string& /*bin*/) const { return true; }
  // Fires now; returns when the device has it. Throws Error when that fails, takes longer than a second, or
  // would begin after shot.latest. A lost connection is made anew in the background; nothing that could not
  // be fired is fired then.
  virtual void fire(const Shot& shot) = 0;
  virtual std::string describe() const = 0;  // for people, in one line, without a password
};

// - mqtt://[user:password@]host[:port]/topic: JSON to TOPIC/BIN, QoS 1
// - mqtts://...[?cafile=FILE]: by TLS; without a file, the system's certificates count
// - modbus://host[:port]/unit/bin=coil,...[?pulse_ms=N]: sets a coil, and clears it N (50) milliseconds later
// - gpio://chip/bin=line,...[?pulse_ms=N]: a line of a gpiochip (its name, number or label), in the same way
// - exec:PROGRAM: the path of a program; it is given bin, item, label and probability, and one second
// - file:PATH: a line of JSON is appended, for trials
//
// Names may be percent-encoded. All coils and lines named are off at first, and whenever a connection is
// made. Throws UsageError for another URI, for a kind that this build lacks, and where there is no such
// program or cafile; FileError for a file that cannot be written. A device that cannot be reached yet is no
// error here.
std::unique_ptr<Ejector> open_ejector(const std::string& uri);

}  // namespace pila
