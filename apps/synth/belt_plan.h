// Which batteries go by on a belt, when and how they lie: the truth that a video of it shows.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/synth/belt_scene.h"

namespace pila::synth {

enum class Level {
  easy,    // far apart, hardly blurred, clean
  normal,  // one in view at a time
  hard     // now and then two in view; dim, flickering light, long exposure, dirt
};
Conditions conditions_of(Level level);

struct BeltItem {
  int series = 0, specimen = 0;  // specimens of a series count from 0
  double angle = 0, roll = 0;    // of its length to the belt, in radians; share of a turn about its axis
  double size = 1;               // those that lie higher look larger
  double y_mm = 0;               // of its middle, from the picture's upper edge
  double half_mm = 0;            // from its middle to its ends, along the belt
  double passed_s = 0;           // when its middle crosses the picture's
};

// Where an item is at a moment. In pixels of the picture, of its middle; it may lie outside.
struct Sight {
  double x = 0, y = 0;
  double in_view = 0;  // share of its outline that lies within the picture
};

class BeltPlan {
 public:
  // Each series has `specimens` of them, which come in any order, all of them before one comes again.
  BeltPlan(const BeltCamera& camera, Level level, int items, int series, int specimens, double fps,
           std::uint64_t seed);

  const BeltCamera& camera() const { return camera_; }
  const std::vector<BeltItem>& items() const { return items_; }
  int frames() const { return frames_; }
  double seconds(int frame) const { return frame / fps_; }
  Sight sight(const BeltItem& item, double seconds) const;
  // Whether an item or its shadow may be seen.
  bool near(const BeltItem& item, double seconds) const;

 private:
  BeltCamera camera_;
  double fps_;
  std::vector<BeltItem> items_;
  int frames_ = 0;
};

// A battery that lies somehow; `passed_s` is left at 0.
BeltItem lay_down(const BeltCamera& camera, int series, int specimen, Random& random);
// Share of the item's outline within the picture, its middle at x, y (pixels).
double share_in_view(const BeltCamera& camera, const BeltItem& item, double x, double y);

}  // namespace pila::synth
