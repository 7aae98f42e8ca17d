#include <algorithm>
#include <cmath>
#include <utility>

#include "apps/items/answer_deciders.h"

namespace pila {
namespace {

constexpr double kPatience = 0.5;  // seconds that a signal may come late
constexpr std::size_t kMostFrames = 32, kMostSignals = 1024;
constexpr int kMostAtOnce = 64;  // signals of the belt between two frames: a source that was away

}  // namespace

TriggerDecider::TriggerDecider(const DecisionOptions& options, Recognise recognise)
    : AnswerDecider(options, std::move(recognise)) {
  if (options_.trigger_mm > 0) period_ = options_.trigger_mm / options_.belt_mm_per_s;
}

void TriggerDecider::trigger(double seconds) {
  if (!std::isfinite(seconds) || signals_.size() >= kMostSignals) return;
  // A switch that bounces, and a message that is sent twice.
  const auto same = [&](double other) { return std::abs(seconds - other) < options_.window_s / 4; };
  if (std::any_of(signals_.begin(), signals_.end(), same) ||
      std::any_of(handled_.begin(), handled_.end(), same)) {
    return;
  }
  signals_.insert(std::upper_bound(signals_.begin(), signals_.end(), seconds), seconds);
}

void TriggerDecider::signal_belt(double now) {
  if (!started_) {
    started_ = true;
    next_signal_ = now + period_ / 2;
  }
  // After a jump of the clock, the belt is measured anew.
  if (next_signal_ - now > 2 * period_ || now - next_signal_ > kMostAtOnce * period_) {
    next_signal_ = now + period_ / 2;
  }
  for (; next_signal_ <= now; next_signal_ += period_) signals_.push_back(next_signal_);
}

std::vector<Item> TriggerDecider::take(const Frame& frame, const Sighting& sighting) {
  if (!std::isfinite(frame.seconds)) return {};
  // The oldest frame's memory serves the newest.
  const double oldest = frame.seconds - std::max(options_.window_s, period_ > 0 ? period_ : kPatience);
  Kept kept;
  while (!kept_.empty() && (kept_.size() >= kMostFrames || kept_.front().frame.seconds < oldest)) {
    kept = std::move(kept_.front());
    kept_.pop_front();
  }
  kept.frame = frame;
  kept.sighting = sighting;
  kept.weight = sharp(frame);
  kept_.push_back(std::move(kept));
  if (period_ > 0) signal_belt(frame.seconds);
  return tell(false);
}

std::vector<Item> TriggerDecider::tell(bool all) {
  std::vector<Item> items;
  const double complete = kept_.empty() ? -HUGE_VAL : kept_.back().frame.seconds - options_.window_s / 2;
  auto signal = signals_.begin();
  for (; signal != signals_.end() && (all || *signal <= complete); ++signal) {
    items.push_back(decide_at(*signal));
    handled_.push_back(*signal);
    if (handled_.size() > kMostSignals) handled_.pop_front();
  }
  signals_.erase(signals_.begin(), signal);
  return items;
}

Item TriggerDecider::decide_at(double signal) {
  const auto off = [&](const Kept& kept) { return std::abs(kept.frame.seconds - signal); };
  const auto nearest = std::min_element(kept_.begin(), kept_.end(),
                                        [&](const Kept& a, const Kept& b) { return off(a) < off(b); });
  Stretch stretch;
  const double half = options_.window_s / 2;
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
    if (kept != nearest && off(*kept) > half) continue;
    const double closeness = 1.1 - std::min(1.0, off(*kept) / half);
    stretch.add(kept->frame, kept->sighting, kept->weight * closeness);
  }
  if (stretch.frames == 0) stretch.entered = stretch.left = signal;
  Item item = decide(stretch);
  item.passed = signal;
  return item;
}

std::vector<Item> TriggerDecider::finish() {
  auto items = tell(true);
  kept_.clear();
  started_ = false;
  return items;
}

}  // namespace pila
