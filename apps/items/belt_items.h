// Which stretches of the belt are items: what most frames agree on, however it flickers in some.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "apps/items/belt_profile.h"
#include "apps/items/evidence.h"
#include "apps/items/item.h"

namespace pila {

// A place on the belt is its place in the picture, in cells, less how far the belt has moved.
struct BeltItem {
  double begin = 0, end = 0;    // on the belt, as far as seen
  bool covered = true;          // most frames agree, at the moment
  bool gone = false;            // out of view, and told of
  double begins = 0, ends = 0;  // sums of the rims as seen in single frames
  int begins_seen = 0, ends_seen = 0;
  std::int64_t first_frame = 0, last_frame = 0;
  double entered = 0, left = 0;
  Evidence evidence;
};

// An item that is in view in the latest frame.
struct InView {
  BeltItem* item = nullptr;
  double begin = 0, end = 0;  // in the picture
  double visible = 0;         // share of what is known of it
  bool whole = false;
};

class BeltItems {
 public:
  explicit BeltItems(int length);

  // The belt has moved on by so many cells; what covers it now. Frame and time are those of the picture.
  void step(double moved, std::span<const Segment> segments, std::int64_t frame, double seconds);

  // After step(); valid until the next one.
  std::span<const InView> in_view() const { return in_view_; }

  // Items that have left the picture since the last call, or all that are known; first come first.
  std::vector<BeltItem> take_gone(bool all);

  // When an item's middle was at that place of the picture, in cells; moved: cells a second, for times before
  // and after what was seen, 0 where it isn't known.
  double passed(const BeltItem& item, double place, double moved) const;

  bool empty() const { return items_.empty(); }
  int forward() const { return forward_; }  // 1: to the right or down, -1: to the left or up

 private:
  struct Votes {
    std::uint16_t seen = 0, covered = 0;
  };
  struct Run {
    double begin = 0, end = 0;                  // on the belt
    bool open_begin = false, open_end = false;  // goes on out of the picture
  };
  void slide();
  void vote(std::span<const Segment> segments);
  void find_runs();
  void assign_runs(std::int64_t frame, double seconds);
  void measure(std::span<const Segment> segments, std::int64_t frame, double seconds);

  int length_;
  double position_ = 0;  // of the belt
  double voted_at_ = 0;
  bool voted_ = false;
  int forward_ = 1;
  std::int64_t first_ = 0;    // the place on the belt, in half cells, of the first votes
  std::vector<Votes> votes_;  // by half cell
  std::vector<Run> runs_;
  std::vector<BeltItem> items_;  // by place
  std::vector<InView> in_view_;
  std::vector<std::pair<double, double>> path_;  // times and positions
};

}  // namespace pila
