// Shots that wait for their time. Nothing is ever fired late.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "apps/eject/ejector.h"

namespace pila {

class EjectionQueue {
 public:
  struct Options {
    std::size_t capacity = 256;               // shots that wait; more are refused
    std::chrono::milliseconds tolerance{20};  // later than this is too late
  };
  struct Counts {
    std::int64_t fired = 0, late = 0, failed = 0, refused = 0;
    double worst_delay_ms = 0;  // of those fired
  };
  // `alarm` gets a line for each shot that is not fired, from the queue's thread.
  EjectionQueue(std::unique_ptr<Ejector> ejector, const Options& options,
                std::function<void(const std::string&)> alarm);
  ~EjectionQueue();  // shots that still wait are not fired
  EjectionQueue(const EjectionQueue&) = delete;
  EjectionQueue& operator=(const EjectionQueue&) = delete;

  // False, with an alarm, when it is too late already or the queue is full.
  bool schedule(const Shot& shot);
  // Waits until the shots that wait are fired, at most so long.
  void drain(std::chrono::milliseconds limit);
  Counts counts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pila
