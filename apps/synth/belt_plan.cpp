#include "apps/synth/belt_plan.h"

#include <algorithm>
#include <cmath>

#include "apps/synth/cylinder.h"
#include "apps/synth/draw.h"
#include "apps/synth/series_label.h"

namespace pila::synth {
namespace {

enum : std::uint32_t { kOrder = 200, kLying, kGaps };

constexpr double kHalfLength = Battery::kLength / 2 + 1.6, kHalfWidth = Battery::kDiameter / 2;

// Bare belt between two items, as a share of what the camera sees of it.
struct Gaps {
  double least, most;
};
Gaps gaps_of(Level level) {
  switch (level) {
    case Level::easy:
      return {1.4, 2.2};
    case Level::normal:
      return {1.1, 1.6};
    case Level::hard:
      return {0.5, 1.25};
  }
  return {};
}

struct Specimen {
  int series, number;
};
std::vector<Specimen> shuffled(int series, int specimens, Random& random) {
  std::vector<Specimen> result;
  for (int number = 0; number < specimens; ++number) {
    for (int one = 0; one < series; ++one) result.push_back({one, number});
  }
  for (std::size_t i = result.size(); i > 1; --i) {
    std::swap(result[i - 1], result[random.below(static_cast<std::uint32_t>(i))]);
  }
  return result;
}

}  // namespace

Conditions conditions_of(Level level) {
  Conditions result;
  switch (level) {
    case Level::easy:
      result = {.exposure_s = 0.002,
                .focus_mm = 0.06,
                .light = 1,
                .flicker = 0.01,
                .noise = 2,
                .dirt = 0.25,
                .wear = 0.3};
      break;
    case Level::normal:
      result = {.exposure_s = 0.007,
                .focus_mm = 0.1,
                .light = 0.92,
                .flicker = 0.03,
                .noise = 4,
                .dirt = 0.55,
                .wear = 0.6};
      break;
    case Level::hard:
      result = {.exposure_s = 0.014,
                .focus_mm = 0.16,
                .light = 0.45,
                .flicker = 0.16,
                .noise = 8,
                .dirt = 1,
                .wear = 1};
      break;
  }
  return result;
}

BeltItem lay_down(const BeltCamera& camera, int series, int specimen, Random& random) {
  BeltItem item;
  item.series = series;
  item.specimen = specimen;
  item.angle = between(random, 0, 2 * Cylinder::kPi);
  item.roll = between(random, 0, 1);
  item.size = between(random, 0.98, 1.02);
  const double cosine = std::abs(std::cos(item.angle)), sine = std::abs(std::sin(item.angle));
  item.half_mm = item.size * (kHalfLength * cosine + kHalfWidth * sine);
  const double half_y = item.size * (kHalfLength * sine + kHalfWidth * cosine);
  const double height = camera.height * camera.mm_per_pixel();
  constexpr double kMostOff = 9;  // guides keep things near the middle
  const double room = std::clamp(height / 2 - half_y - 0.5, 0.0, kMostOff);
  item.y_mm = height / 2 + between(random, -room, room);
  return item;
}

double share_in_view(const BeltCamera& camera, const BeltItem& item, double x, double y) {
  constexpr int kLong = 40, kWide = 12;
  const double cosine = std::cos(item.angle), sine = std::sin(item.angle);
  const double scale = item.size / camera.mm_per_pixel();
  int inside = 0;
  for (int i = 0; i < kLong; ++i) {
    for (int j = 0; j < kWide; ++j) {
      const double along = scale * kHalfLength * (2 * (i + 0.5) / kLong - 1);
      const double across = scale * kHalfWidth * (2 * (j + 0.5) / kWide - 1);
      const double px = x + cosine * along - sine * across, py = y + sine * along + cosine * across;
      inside += px >= 0 && py >= 0 && px < camera.width && py < camera.height;
    }
  }
  return inside / double(kLong * kWide);
}

BeltPlan::BeltPlan(const BeltCamera& camera, Level level, int items, int series, int specimens, double fps,
                   std::uint64_t seed)
    : camera_(camera), fps_(fps) {
  constexpr double kBefore = 1, kAfter = 0.5;  // seconds of bare belt
  Random order(seed, 0, kOrder), gaps(seed, 0, kGaps);
  const Gaps range = gaps_of(level);
  const double speed = camera.belt_mm_per_s, field = camera.field();
  double behind = kBefore * speed;  // mm of belt from the picture's left edge at 0 s to the next item
  std::vector<Specimen> deck;
  for (int i = 0; i < items; ++i) {
    if (deck.empty()) deck = shuffled(series, specimens, order);
    Random lying(seed, i, kLying);
    BeltItem item = lay_down(camera, deck.back().series, deck.back().number, lying);
    deck.pop_back();
    behind += item.half_mm;
    item.passed_s = (behind + field / 2) / speed;
    behind += item.half_mm;
    items_.push_back(item);
    if (i + 1 < items) behind += field * between(gaps, range.least, range.most);
  }
  frames_ = static_cast<int>(std::ceil(((behind + field) / speed + kAfter) * fps));
}

Sight BeltPlan::sight(const BeltItem& item, double seconds) const {
  Sight result;
  result.x = camera_.width / 2.0 + (seconds - item.passed_s) * camera_.belt_mm_per_s / camera_.mm_per_pixel();
  result.y = item.y_mm / camera_.mm_per_pixel();
  if (near(item, seconds)) result.in_view = share_in_view(camera_, item, result.x, result.y);
  return result;
}

bool BeltPlan::near(const BeltItem& item, double seconds) const {
  constexpr double kShadow = 12;  // mm
  const double exposed = 0.02 * camera_.belt_mm_per_s;
  const double off = std::abs(seconds - item.passed_s) * camera_.belt_mm_per_s;
  return off < camera_.field() / 2 + item.half_mm + kShadow + exposed;
}

}  // namespace pila::synth
