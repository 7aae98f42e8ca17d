// Where a stream's verdicts go.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "apps/capture/frame.h"
#include "apps/items/decider.h"
#include "apps/items/item.h"

namespace pila {

// Milliseconds that a frame took.
struct StageTimes {
  double decode = 0, preprocess = 0, network = 0, decide = 0;
  double latency = 0;  // from its arrival to its verdict
};

struct FrameReport {
  const Frame& frame;
  std::span<const std::string> classes;
  std::span<const float> probabilities;  // by class
  bool recognised = true;
  Presence presence;
  StageTimes times;
};

struct ItemReport {
  Item item;
  std::span<const std::string> classes;
  std::string label;              // its class, or "others"
  std::string bin;                // empty: stays on the belt
  std::optional<double> fire_at;  // seconds of the stream, where the belt's speed is known
  bool missed = false;            // decided too late for its ejector
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void frame(const FrameReport& /*report*/) {}
  virtual void item(const ItemReport& /*report*/) {}
  // The stream has ended.
  virtual void finish() {}
};

}  // namespace pila
