// Shots that wait for their time. Nothing is ever fired late.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "apps/eject/ejection_clock.h"
#include "apps/eject/ejector.h"

namespace pila {

class EjectionQueue {
 public:
  struct Options {
    std::size_t capacity = 256;               // shots that wait; more are refused
    std::chrono::milliseconds tolerance{20};  // later than this is too late
  };
  struct Counts {
    std::int64_t fired = 0;     // the device had it
    std::int64_t slow = 0;      // of those: begun in time, but the device had it later than the tolerance
    std::int64_t late = 0;      // not fired, as it was too late
    std::int64_t failed = 0;    // the ejector threw
    std::int64_t refused = 0;   // the queue was full
    double worst_delay_ms = 0;  // from due until the device had it, of those fired
  };
  // `alarm` gets a line for each shot that is not fired or is slow, from the queue's thread or schedule()'s;
  // it returns soon and throws nothing. Tests bring a clock of their own.
  EjectionQueue(std::unique_ptr<Ejector> ejector, const Options& options,
                std::function<void(const std::string&)> alarm,
                std::unique_ptr<EjectionClock> clock = nullptr);
  ~EjectionQueue();  // shots that still wait are not fired
  EjectionQueue(const EjectionQueue&) = delete;
  EjectionQueue& operator=(const EjectionQueue&) = delete;

  // False, with an alarm, when it is too late already or the queue is full. shot.latest becomes due +
  // tolerance.
  bool schedule(Shot shot);
  // Waits until no shot waits or is being fired, at most so long.
  void drain(std::chrono::milliseconds limit);
  Counts counts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pila
