// How long frames took: percentiles of the latest, and the course of the last minutes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "apps/live/sink.h"

namespace pila {

constexpr std::array<const char*, 5> kStages = {"decode", "preprocess", "network", "decide", "latency"};

// Milliseconds of one stage over the latest frames.
struct Percentiles {
  double median = 0, p95 = 0, p99 = 0, max = 0;
};

class RecentTimes {
 public:
  struct Second {
    std::int64_t time = 0;  // Unix seconds
    std::int64_t frames = 0;
    double median = 0, max = 0;  // latency, ms
  };

  void add(const StageTimes& times, std::int64_t unix_second);
  std::array<Percentiles, kStages.size()> percentiles() const;
  const std::deque<Second>& seconds() const { return seconds_; }  // complete ones, the oldest first
  std::int64_t count() const { return count_; }
  double latency_sum() const { return latency_sum_; }  // ms, over all frames

 private:
  static constexpr std::size_t kFrames = 1024, kSeconds = 180;

  void complete_second();

  std::array<std::vector<float>, kStages.size()> latest_;  // rings of kFrames
  std::int64_t count_ = 0, second_ = 0;
  double latency_sum_ = 0;
  std::vector<float> in_second_;
  std::deque<Second> seconds_;
};

}  // namespace pila
