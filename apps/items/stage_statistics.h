// How long the stages of the program take, over days, in little memory.
#pragma once

#include <cstdint>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pila {

struct StageSummary {
  std::string stage;
  std::int64_t count = 0;
  double median = 0, p95 = 0, p99 = 0, maximum = 0;  // milliseconds; all but the maximum to 1 %
};

// For any number of threads.
class StageStatistics {
 public:
  // Stages keep the order of their first call. Below 0 counts as 0; what is no number does not count.
  void add(std::string_view stage, double milliseconds);

  std::vector<StageSummary> summaries() const;
  std::string text() const;     // a table for people, with a last newline
  nlohmann::json json() const;  // {STAGE: {count, median_ms, p95_ms, p99_ms, max_ms}}

 private:
  struct Stage {
    std::string name;
    std::int64_t count = 0;
    double maximum = 0;
    std::vector<std::int64_t> counts;  // by bucket, each 2 % wide
  };
  static StageSummary summary(const Stage& stage);

  mutable std::mutex mutex_;
  std::vector<Stage> stages_;
};

}  // namespace pila
