#include "apps/web/recent_times.h"

#include <algorithm>

namespace pila {
namespace {

// Of sorted values; 0 for none.
double at_share(const std::vector<float>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

}  // namespace

void RecentTimes::add(const StageTimes& times, std::int64_t unix_second) {
  if (unix_second != second_) complete_second();
  second_ = unix_second;
  const std::array<double, kStages.size()> values = {times.decode, times.preprocess, times.network,
                                                     times.decide, times.latency};
  const auto place = static_cast<std::size_t>(count_) % kFrames;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (latest_[i].size() <= place) latest_[i].resize(place + 1);
    latest_[i][place] = static_cast<float>(values[i]);
  }
  in_second_.push_back(static_cast<float>(times.latency));
  latency_sum_ += times.latency;
  ++count_;
}

void RecentTimes::complete_second() {
  if (in_second_.empty()) return;
  std::sort(in_second_.begin(), in_second_.end());
  seconds_.push_back(
      {second_, static_cast<std::int64_t>(in_second_.size()), at_share(in_second_, 0.5), in_second_.back()});
  if (seconds_.size() > kSeconds) seconds_.pop_front();
  in_second_.clear();
}

std::array<Percentiles, kStages.size()> RecentTimes::percentiles() const {
  std::array<Percentiles, kStages.size()> result;
  for (std::size_t i = 0; i < result.size(); ++i) {
    auto sorted = latest_[i];
    std::sort(sorted.begin(), sorted.end());
    result[i] = {at_share(sorted, 0.5), at_share(sorted, 0.95), at_share(sorted, 0.99), at_share(sorted, 1)};
  }
  return result;
}

}  // namespace pila
