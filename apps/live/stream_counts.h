// What a stream came to so far.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "apps/capture/frame_source.h"
#include "apps/items/stage_statistics.h"
#include "apps/live/sink.h"

namespace pila {

// For any number of threads.
class StreamCounts {
 public:
  void frame(const StageTimes& times, double sinks_ms);
  void item(const std::string& label, bool missed);

  // All for people: one line on how it goes, and a table at the end.
  std::string heartbeat(const FrameSource::Counts& source) const;
  std::string summary(const FrameSource::Counts& source) const;
  // {"frames": ..., "dropped": ..., "skipped": ..., "reconnects": ..., "items": ..., "missed": ...,
  // "classes": {label: items}, "seconds": since the beginning, "frames_per_s": ..., "memory_mib": ...,
  // "items_per_s": ..., "stages": {stage: see StageStatistics}}.
  std::string to_json(const FrameSource::Counts& source) const;

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(const FrameSource::Counts& source) const;
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  const Clock::time_point begin_ = Clock::now();
  mutable std::mutex mutex_;
  StageStatistics stages_;
  std::map<std::string, std::int64_t> items_;  // by label
  std::int64_t all_items_ = 0, missed_ = 0;
};

}  // namespace pila
