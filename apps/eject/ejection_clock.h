// The time by which an EjectionQueue fires.
#pragma once

#include <chrono>
#include <memory>

namespace pila {

class EjectionClock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  virtual ~EjectionClock() = default;
  virtual Time now() const = 0;
  // Returns at `until`, or before for a wake() that no earlier call has returned for.
  virtual void sleep_until(Time until) = 0;
  virtual void wake() = 0;
};

std::unique_ptr<EjectionClock> make_steady_clock();

}  // namespace pila
