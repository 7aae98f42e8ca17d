// Ejectors that are outputs of a device: switched on for a shot, and off again a little later.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "apps/eject/ejector.h"

namespace pila {

// For one thread at a time. No call takes much longer than half a second.
class OutputDevice {
 public:
  virtual ~OutputDevice() = default;
  // Makes the connection; all outputs are off then. Throws Error.
  virtual void open() = 0;
  virtual void close() = 0;
  // Whether an open device is still there, as far as that can be told at once.
  virtual bool alive() = 0;
  // Throws Error.
  virtual void set(int output, bool on) = 0;
  virtual std::string describe() const = 0;
};

// A thread of its own switches outputs off, `pulse` after the last shot for each, and opens a device anew
// that is away.
std::unique_ptr<Ejector> make_pulse_ejector(std::unique_ptr<OutputDevice> device,
                                            std::map<std::string, int> bins, std::chrono::milliseconds pulse);

}  // namespace pila
