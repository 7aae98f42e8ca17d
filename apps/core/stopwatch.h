// Elapsed time.
#pragma once

#include <chrono>

namespace pila {

class Stopwatch {
 public:
  // Milliseconds since the last lap, or since the beginning.
  double lap_ms() {
    const auto now = Clock::now();
    const std::chrono::duration<double, std::milli> lap = now - last_;
    last_ = now;
    return lap.count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

}  // namespace pila
