#include "apps/live/stream_counts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace pila {

void StreamCounts::frame(const StageTimes& times, double sinks_ms) {
  const std::lock_guard lock(mutex_);
  ++frames_;
  const double stages[] = {times.decode, times.preprocess, times.network,
                           times.decide, sinks_ms,         times.latency};
  for (std::size_t i = 0; i < std::size(stages); ++i) stages_.add(i, stages[i]);
}

void StreamCounts::item(const std::string& label, bool missed) {
  const std::lock_guard lock(mutex_);
  ++items_[label];
  ++all_items_;
  missed_ += missed ? 1 : 0;
}

}  // namespace pila
