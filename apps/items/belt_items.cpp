#include "apps/items/belt_items.h"

#include <algorithm>
#include <cmath>

namespace pila {
namespace {

constexpr double kStepOfVotes = 1;                     // cells: a belt that stands still has no more to say
constexpr double kCovered = 0.5, kStillCovered = 0.3;  // share of votes; the latter within a known item
constexpr double kLeastRun = 1.5;                      // cells
constexpr double kLeastGap = 1;
constexpr double kTolerance = 0.75;  // of places
constexpr double kLeastToJudge = 2;  // cells in view
constexpr double kForgotten = 4;     // cells behind the picture's rim
constexpr std::size_t kLongestPath = 4096;

}  // namespace

BeltItems::BeltItems(int length) : length_(length), votes_(static_cast<std::size_t>(2 * length + 2)) {}

void BeltItems::slide() {
  const auto first = static_cast<std::int64_t>(std::floor(-2 * position_));
  const auto size = static_cast<std::int64_t>(votes_.size());
  const std::int64_t by = std::clamp(first - first_, -size, size);
  if (by > 0) {
    std::move(votes_.begin() + by, votes_.end(), votes_.begin());
    std::fill(votes_.end() - by, votes_.end(), Votes{});
  } else if (by < 0) {
    std::move_backward(votes_.begin(), votes_.end() + by, votes_.end());
    std::fill(votes_.begin(), votes_.begin() - by, Votes{});
  }
  first_ = first;
}

void BeltItems::vote(std::span<const Segment> segments) {
  if (voted_ && std::abs(position_ - voted_at_) < kStepOfVotes) return;
  voted_ = true;
  voted_at_ = position_;
  auto segment = segments.begin();
  for (std::size_t i = 0; i < votes_.size(); ++i) {
    const double place = (static_cast<double>(first_ + static_cast<std::int64_t>(i)) + 0.5) / 2 + position_;
    if (place < 0 || place > length_) continue;
    while (segment != segments.end() && segment->end <= place) ++segment;
    Votes& votes = votes_[i];
    if (votes.seen == UINT16_MAX)
      votes = {static_cast<std::uint16_t>(votes.seen / 2), static_cast<std::uint16_t>(votes.covered / 2)};
    ++votes.seen;
    if (segment != segments.end() && segment->begin <= place) ++votes.covered;
  }
}

void BeltItems::find_runs() {
  runs_.clear();
  const auto belt = [&](std::size_t i) {
    return static_cast<double>(first_ + static_cast<std::int64_t>(i)) / 2;
  };
  for (std::size_t i = 0; i < votes_.size(); ++i) {
    const Votes& votes = votes_[i];
    const bool known = std::ranges::any_of(items_, [&](const BeltItem& item) {
      return item.covered && item.begin <= belt(i) && belt(i) < item.end;
    });
    const double least = known ? kStillCovered : kCovered;
    if (votes.covered == 0 || votes.covered < least * votes.seen) continue;
    if (!runs_.empty() && belt(i) - runs_.back().end <= kLeastGap) {
      runs_.back().end = belt(i + 1);
    } else {
      runs_.push_back({belt(i), belt(i + 1)});
    }
  }
  for (Run& run : runs_) {
    run.open_begin = run.begin + position_ <= kTolerance;
    run.open_end = run.end + position_ >= length_ - kTolerance;
  }
  std::erase_if(runs_, [](const Run& run) {
    return run.end - run.begin < (run.open_begin || run.open_end ? 1 : kLeastRun);
  });
}

void BeltItems::assign_runs(std::int64_t frame, double seconds) {
  for (BeltItem& item : items_) {
    // The votes for what has all but left are gone with it.
    const double inside =
        std::min<double>(item.end + position_, length_) - std::max(0.0, item.begin + position_);
    if (!item.gone && inside > kLeastToJudge) item.covered = false;
  }
  std::vector<bool> taken(items_.size());
  std::vector<BeltItem> found;
  for (const Run& run : runs_) {
    BeltItem* owner = nullptr;
    bool known = false;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      BeltItem& item = items_[i];
      if (run.begin >= item.end + kTolerance || run.end <= item.begin - kTolerance) continue;
      if (item.gone) {
        known = true;
        continue;
      }
      if (taken[i]) continue;  // it has come apart
      taken[i] = true;
      if (owner == nullptr) {
        owner = &item;
        continue;
      }
      // They have turned out to be one.
      owner->begin = std::min(owner->begin, item.begin);
      owner->end = std::max(owner->end, item.end);
      owner->first_frame = std::min(owner->first_frame, item.first_frame);
      owner->entered = std::min(owner->entered, item.entered);
      owner->begins_seen = owner->ends_seen = 0;
      owner->begins = owner->ends = 0;
      owner->evidence.merge(std::move(item.evidence));
      item.evidence = Evidence();
      item.covered = false;
    }
    if (owner != nullptr) {
      owner->covered = true;
      owner->begin = run.open_begin ? std::min(owner->begin, run.begin) : run.begin;
      owner->end = run.open_end ? std::max(owner->end, run.end) : run.end;
    } else if (!known) {
      BeltItem item;
      item.begin = run.begin;
      item.end = run.end;
      item.first_frame = item.last_frame = frame;
      item.entered = item.left = seconds;
      found.push_back(std::move(item));
    }
  }
  for (BeltItem& item : found) items_.push_back(std::move(item));
  std::sort(items_.begin(), items_.end(),
            [](const BeltItem& a, const BeltItem& b) { return a.begin < b.begin; });
}

void BeltItems::measure(std::span<const Segment> segments, std::int64_t frame, double seconds) {
  in_view_.clear();
  for (BeltItem& item : items_) {
    if (!item.covered || item.gone) continue;
    const double begin = item.begin + position_, end = item.end + position_;
    const Segment* only = nullptr;
    int count = 0;
    for (const Segment& segment : segments) {
      if (segment.begin >= end || segment.end <= begin) continue;
      only = &segment;
      ++count;
    }
    if (count == 0) continue;
    item.last_frame = frame;
    item.left = seconds;
    InView view{&item, begin, end};
    const double inside = std::min<double>(end, length_) - std::max(0.0, begin);
    view.visible = std::clamp(inside / std::max(end - begin, 1e-9), 0.0, 1.0);
    view.whole = begin > kTolerance && end < length_ - kTolerance;
    in_view_.push_back(view);
    // A segment that is much longer bridges two items.
    if (count > 1 || only->end - only->begin > end - begin + 3) continue;
    if (only->begin > kTolerance) {
      item.begins += only->begin - position_;
      ++item.begins_seen;
    }
    if (only->end < length_ - kTolerance) {
      item.ends += only->end - position_;
      ++item.ends_seen;
    }
  }
}

void BeltItems::step(double moved, std::span<const Segment> segments, std::int64_t frame, double seconds) {
  position_ += moved;
  if (std::abs(moved) > kTolerance) forward_ = moved < 0 ? -1 : 1;
  // Of a belt that stands still, the first and the last moment will do.
  const auto still = [&](double position) { return std::abs(position_ - position) < 0.25; };
  if (path_.size() > 1 && still(path_.back().second) && still(path_[path_.size() - 2].second))
    path_.pop_back();
  if (path_.size() >= kLongestPath) path_.erase(path_.begin(), path_.begin() + kLongestPath / 2);
  path_.emplace_back(seconds, position_);

  slide();
  vote(segments);
  find_runs();
  assign_runs(frame, seconds);
  // What most frames deny, and what has been told of, goes once it is out of view.
  std::erase_if(items_, [&](const BeltItem& item) {
    const double out = std::max(-(item.end + position_), item.begin + position_ - length_);
    return (item.gone && out > kForgotten) || (!item.covered && out > -kTolerance);
  });
  measure(segments, frame, seconds);
}

std::vector<BeltItem> BeltItems::take_gone(bool all) {
  std::vector<BeltItem> gone;
  for (BeltItem& item : items_) {
    const double out = std::max(-(item.end + position_), item.begin + position_ - length_);
    if (item.gone || !item.covered || (!all && out < -kTolerance)) continue;
    item.gone = true;
    gone.push_back(std::move(item));
    item.evidence = Evidence();
  }
  if (forward_ > 0) std::reverse(gone.begin(), gone.end());
  if (all) items_.clear();
  if (!gone.empty()) in_view_.clear();
  return gone;
}

double BeltItems::passed(const BeltItem& item, double place, double moved) const {
  const double begin = item.begins_seen > 0 ? item.begins / item.begins_seen : item.begin;
  const double end = item.ends_seen > 0 ? item.ends / item.ends_seen : item.end;
  const double wanted = place - (begin + end) / 2;  // position of the belt
  for (std::size_t i = path_.size(); i-- > 1;) {
    const auto& [time, position] = path_[i];
    const auto& [time_before, position_before] = path_[i - 1];
    if ((position - wanted) * (position_before - wanted) > 0 || position == position_before) continue;
    return time_before + (time - time_before) * (wanted - position_before) / (position - position_before);
  }
  if (path_.empty() || moved == 0) return (item.entered + item.left) / 2;
  const auto& [time, position] =
      std::abs(path_.back().second - wanted) < std::abs(path_.front().second - wanted) ? path_.back()
                                                                                       : path_.front();
  return time + (wanted - position) / moved;
}

}  // namespace pila
