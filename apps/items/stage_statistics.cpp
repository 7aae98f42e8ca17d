#include "apps/items/stage_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace pila {
namespace {

// From 0.1 microseconds to over ten minutes; the first bucket holds what is shorter, the last what is longer.
constexpr double kShortest = 1e-4, kGrowth = 1.02;
constexpr std::size_t kBuckets = 1150;

std::size_t bucket_of(double milliseconds) {
  if (milliseconds <= kShortest) return 0;
  const double place = std::ceil(std::log(milliseconds / kShortest) / std::log(kGrowth));
  return static_cast<std::size_t>(std::min<double>(place, kBuckets - 1));
}

double middle_of(std::size_t bucket) {
  return bucket == 0 ? kShortest / 2 : kShortest * std::pow(kGrowth, static_cast<double>(bucket) - 0.5);
}

}  // namespace

void StageStatistics::add(std::string_view stage, double milliseconds) {
  if (!std::isfinite(milliseconds)) return;
  milliseconds = std::max(0.0, milliseconds);
  const std::lock_guard lock(mutex_);
  auto found = std::find_if(stages_.begin(), stages_.end(), [&](const Stage& s) { return s.name == stage; });
  if (found == stages_.end()) {
    stages_.push_back({std::string(stage), 0, 0, std::vector<std::int64_t>(kBuckets)});
    found = stages_.end() - 1;
  }
  ++found->count;
  found->maximum = std::max(found->maximum, milliseconds);
  ++found->counts[bucket_of(milliseconds)];
}

StageSummary StageStatistics::summary(const Stage& stage) {
  const auto quantile = [&](double share) {
    const auto rank = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(stage.count)));
    std::int64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      seen += stage.counts[bucket];
      if (seen >= rank) return std::min(middle_of(bucket), stage.maximum);
    }
    return stage.maximum;
  };
  return {stage.name, stage.count, quantile(0.5), quantile(0.95), quantile(0.99), stage.maximum};
}

std::vector<StageSummary> StageStatistics::summaries() const {
  const std::lock_guard lock(mutex_);
  std::vector<StageSummary> all;
  for (const Stage& stage : stages_) all.push_back(summary(stage));
  return all;
}

std::string StageStatistics::text() const {
  const auto all = summaries();
  std::size_t width = 5;
  for (const StageSummary& one : all) width = std::max(width, one.stage.size());
  std::string table = fmt::format("{:{}}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}\n", "stage", width, "count",
                                  "median ms", "95 % ms", "99 % ms", "max ms");
  for (const StageSummary& one : all) {
    table += fmt::format("{:{}}  {:>10}  {:>10.3f}  {:>10.3f}  {:>10.3f}  {:>10.3f}\n", one.stage, width,
                         one.count, one.median, one.p95, one.p99, one.maximum);
  }
  return table;
}

nlohmann::json StageStatistics::json() const {
  nlohmann::json all = nlohmann::json::object();
  for (const StageSummary& one : summaries()) {
    all[one.stage] = {{"count", one.count},
                      {"median_ms", one.median},
                      {"p95_ms", one.p95},
                      {"p99_ms", one.p99},
                      {"max_ms", one.maximum}};
  }
  return all;
}

}  // namespace pila
