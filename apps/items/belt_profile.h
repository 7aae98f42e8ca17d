// What lies on the belt, place by place along it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "apps/items/background.h"
#include "apps/items/picture_grid.h"

namespace pila {

enum class BeltAxis { horizontal, vertical };

// A stretch of the belt that is covered, in cells from the picture's left or upper edge. What reaches that
// far goes on beyond it.
struct Segment {
  double begin = 0, end = 0;
};

struct BeltProfile {
  int length = 0, lanes = 0;         // cells along the belt, and numbers for each of them
  std::vector<std::int16_t> values;  // [length, lanes]: colour less the empty belt's; 0 where it is empty
  std::vector<std::int64_t> energy;  // [length + 1]: sums of the squared values before a place
  std::vector<Segment> segments;     // in order

  std::int64_t total_energy() const { return energy.empty() ? 0 : energy.back(); }
};

// The mask tells what is not the belt, see Background.
void make_profile(const PictureGrid& grid, std::span<const std::uint8_t> mask, const Background& background,
                  BeltAxis axis, BeltProfile& profile);

}  // namespace pila
