#include "apps/items/belt_decider.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace pila {
namespace {

constexpr std::size_t kLearningFrames = 20;
constexpr double kAllOver = 0.75;  // share of the picture that no item covers for long
constexpr int kAllOverFrames = 60;
constexpr int kLeastCells = 12;  // along the belt
constexpr double kClearer = 1.2;

enum Rank { kPartial, kAmongOthers, kAlone };

int sign_of(BeltDirection direction) {
  switch (direction) {
    case BeltDirection::right:
    case BeltDirection::down:
      return 1;
    case BeltDirection::left:
    case BeltDirection::up:
      return -1;
    case BeltDirection::automatic:
      return 0;
  }
  return 0;
}

}  // namespace

BeltDecider::BeltDecider(const DecisionOptions& options, Recognise recognise)
    : options_(options), recognise_(std::move(recognise)), number_(options.first_number - 1) {}

// Clocks that stand, jump back or are no number tick as usual.
double BeltDecider::interval_since_last(double seconds) {
  const double since = seconds - last_seconds_;
  if (std::isfinite(seconds)) last_seconds_ = seconds;
  return started_ && std::isfinite(since) && since > 1e-6 ? since : interval_;
}

std::vector<Item> BeltDecider::take(const Frame& frame, const Sighting& sighting) {
  std::vector<Item> items;
  sampler_.sample(frame.image, grid_);
  if (grid_.cells.empty()) {
    presence_ = {};
    return items;
  }
  if (columns_ != grid_.columns || rows_ != grid_.rows) {
    if (columns_ > 0) end(items);
    columns_ = grid_.columns;
    rows_ = grid_.rows;
  }
  if (!to_be_kept()) {
    follow(frame, sighting, grid_, items);
    return items;
  }
  kept_.push_back({frame, sighting});
  grids_.push_back(grid_);
  if (kept_.size() == kLearningFrames) learn(items);
  return items;
}

bool BeltDecider::to_be_kept() {
  if (!background_.learned() || !kept_.empty()) return true;
  if (studied_) return false;
  background_.compare(grid_, mask_);
  return std::find(mask_.begin(), mask_.end(), 1) != mask_.end();
}

void BeltDecider::lay_tracks() {
  std::vector<double> intervals;
  for (std::size_t i = 1; i < kept_.size(); ++i) {
    const double interval = kept_[i].frame.seconds - kept_[i - 1].frame.seconds;
    if (std::isfinite(interval) && interval > 1e-6) intervals.push_back(interval);
  }
  if (!intervals.empty()) {
    const auto middle = intervals.begin() + static_cast<std::ptrdiff_t>(intervals.size() / 2);
    std::nth_element(intervals.begin(), middle, intervals.end());
    interval_ = *middle;
  }
  const auto add_track = [&](BeltAxis axis, int length, BeltDirection one, BeltDirection other) {
    const BeltDirection given = options_.direction;
    if (length < kLeastCells || (given != BeltDirection::automatic && given != one && given != other)) return;
    tracks_.push_back(std::make_unique<Track>(axis, length, sign_of(given), interval_));
  };
  const PictureGrid& size = grids_.front();
  add_track(BeltAxis::horizontal, size.columns, BeltDirection::left, BeltDirection::right);
  add_track(BeltAxis::vertical, size.rows, BeltDirection::up, BeltDirection::down);
}

void BeltDecider::learn(std::vector<Item>& items) {
  if (grids_.empty()) return;
  if (!background_.learned()) {
    background_.learn(grids_);
    lay_tracks();
  }
  BeltProfile before, now;
  for (const auto& track : tracks_) {
    for (std::size_t i = 0; i < grids_.size(); ++i) {
      background_.compare(grids_[i], mask_);
      std::swap(before, now);
      make_profile(grids_[i], mask_, background_, track->axis, now);
      if (i == 0) continue;
      const double since = kept_[i].frame.seconds - kept_[i - 1].frame.seconds;
      track->motion.study(before, now, std::isfinite(since) && since > 1e-6 ? since : interval_);
    }
    if (track->motion.settle()) studied_ = true;
  }
  choose_axis(false);
  const std::vector<Kept> kept = std::exchange(kept_, {});
  const std::vector<PictureGrid> grids = std::exchange(grids_, {});
  for (std::size_t i = 0; i < kept.size(); ++i) follow(kept[i].frame, kept[i].sighting, grids[i], items);
}

void BeltDecider::follow(const Frame& frame, const Sighting& sighting, const PictureGrid& grid,
                         std::vector<Item>& items) {
  const double since = interval_since_last(frame.seconds);
  started_ = true;
  const double seconds = last_seconds_;
  background_.compare(grid, mask_);
  double travel = 0;
  for (const auto& track : tracks_) {
    make_profile(grid, mask_, background_, track->axis, track->profile);
    const double moved = track->motion.step(track->profile, since);
    track->items.step(moved, track->profile.segments, frame.index, seconds);
    weigh(*track, frame, sighting, grid);
    travel = std::max(travel, std::abs(moved) / track->profile.length);
  }
  background_.adapt(grid, mask_, travel);
  show(grid);
  tell(false, items);

  const auto covered = static_cast<double>(std::count(mask_.begin(), mask_.end(), 1));
  covered_all_over_ = covered > kAllOver * static_cast<double>(mask_.size()) ? covered_all_over_ + 1 : 0;
  if (covered_all_over_ >= kAllOverFrames) {
    // The light has changed, or the camera: what was under way cannot be told from it.
    tracks_.clear();
    background_ = {};
    covered_all_over_ = 0;
    studied_ = false;
    presence_ = {};
  }
}

// A frame speaks for the item that it shows whole: alone, or else for the one that is nearest to the middle;
// for others only as long as they have nothing better.
void BeltDecider::weigh(Track& track, const Frame& frame, const Sighting& sighting, const PictureGrid& grid) {
  const auto in_view = track.items.in_view();
  if (in_view.empty()) return;
  const double middle = track.profile.length / 2.0;
  const auto off_middle = [&](const InView& view) {
    const double begin = std::max(0.0, view.begin), end = std::min<double>(view.end, track.profile.length);
    return std::abs((begin + end) / 2 - middle) / middle;
  };
  const auto whole = std::count_if(in_view.begin(), in_view.end(), [](const InView& v) { return v.whole; });
  const InView* central = nullptr;
  for (const InView& view : in_view) {
    if (view.whole && (central == nullptr || off_middle(view) < off_middle(*central))) central = &view;
  }
  const double sharp = 1 + sharpness(frame.image, grid, mask_);
  for (const InView& view : in_view) {
    const double closeness = 1.05 - std::min(1.0, off_middle(view));
    const double weight = sharp * closeness * closeness;
    if (&view == central) {
      view.item->evidence.add(frame, sighting, whole == 1 ? kAlone : kAmongOthers, weight);
    } else {
      view.item->evidence.add_best(frame, sighting, kPartial, weight * view.visible);
    }
  }
}

void BeltDecider::choose_axis(bool decide) {
  if (tracks_.size() < 2) return;
  const double horizontal = std::max(0.0, tracks_[0]->motion.explained());
  const double vertical = std::max(0.0, tracks_[1]->motion.explained());
  if (decide ? vertical > horizontal : vertical > 2 + kClearer * horizontal) {
    tracks_.erase(tracks_.begin());
  } else if (decide || horizontal > 2 + kClearer * vertical) {
    tracks_.pop_back();
  }
}

void BeltDecider::tell(bool all, std::vector<Item>& items) {
  std::vector<std::vector<BeltItem>> gone;
  for (const auto& track : tracks_) gone.push_back(track->items.take_gone(all));
  const bool any = std::any_of(gone.begin(), gone.end(), [](const auto& some) { return !some.empty(); });
  if (!any) return;
  const Track* const first = tracks_.front().get();
  choose_axis(true);
  Track& track = *tracks_.front();
  std::vector<BeltItem>& told = &track == first ? gone.front() : gone.back();
  const double speed = track.motion.speed().value_or(0);
  const int forward = sign_of(options_.direction) != 0 ? sign_of(options_.direction)
                      : speed != 0                     ? (speed < 0 ? -1 : 1)
                                                       : track.items.forward();
  const double place = track.profile.length * (forward > 0 ? options_.line : 1 - options_.line);
  for (BeltItem& one : told) {
    Item item;
    item.number = ++number_;
    item.first_frame = one.first_frame;
    item.last_frame = one.last_frame;
    item.entered = one.entered;
    item.left = one.left;
    item.passed = track.items.passed(one, place, speed);
    one.evidence.decide(item, recognise_, std::nullopt);
    items.push_back(std::move(item));
  }
}

void BeltDecider::show(const PictureGrid& grid) {
  presence_ = {};
  if (tracks_.empty()) return;
  const Track& track = *tracks_.front();
  const auto in_view = track.items.in_view();
  if (in_view.empty()) return;
  const double middle = track.profile.length / 2.0;
  std::size_t nearest = 0;
  const auto off_middle = [&](const InView& view) { return std::abs((view.begin + view.end) / 2 - middle); };
  for (std::size_t i = 1; i < in_view.size(); ++i) {
    if (off_middle(in_view[i]) < off_middle(in_view[nearest])) nearest = i;
  }
  const InView& view = in_view[nearest];
  // Those ahead are told of before.
  const std::size_t ahead = track.items.forward() > 0 ? in_view.size() - 1 - nearest : nearest;
  presence_.something = true;
  presence_.item = number_ + 1 + static_cast<std::int64_t>(ahead);
  const bool horizontal = track.axis == BeltAxis::horizontal;
  int low = std::numeric_limits<int>::max(), high = 0;  // across the belt
  for (std::size_t index = 0; index < mask_.size(); ++index) {
    if (mask_[index] == 0) continue;
    const int row = static_cast<int>(index) / grid.columns, column = static_cast<int>(index) % grid.columns;
    const double along = (horizontal ? column : row) + 0.5;
    if (along < view.begin || along > view.end) continue;
    low = std::min(low, horizontal ? row : column);
    high = std::max(high, (horizontal ? row : column) + 1);
  }
  const double begin = std::clamp(view.begin / track.profile.length, 0.0, 1.0);
  const double end = std::clamp(view.end / track.profile.length, 0.0, 1.0);
  const double across = horizontal ? grid.rows : grid.columns;
  const double near = low < high ? low / across : 0, far = low < high ? high / across : 1;
  presence_.left = horizontal ? begin : near;
  presence_.right = horizontal ? end : far;
  presence_.top = horizontal ? near : begin;
  presence_.bottom = horizontal ? far : end;
}

void BeltDecider::end(std::vector<Item>& items) {
  learn(items);
  tell(true, items);
  tracks_.clear();
  background_ = {};
  covered_all_over_ = 0;
  started_ = studied_ = false;
  presence_ = {};
}

std::vector<Item> BeltDecider::finish() {
  std::vector<Item> items;
  end(items);
  return items;
}

}  // namespace pila
