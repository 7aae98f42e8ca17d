#include "apps/items/belt_profile.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace pila {
namespace {

constexpr int kCellsOfLane = 2;

void find_segments(std::span<const int> covered, std::span<const float> strength, int least,
                   std::vector<Segment>& segments) {
  const int length = static_cast<int>(covered.size());
  segments.clear();
  // How much of the cell at a segment's rim it fills, told by the next one within.
  const auto share = [&](int rim, int within) {
    return std::min(1.0, static_cast<double>(strength[static_cast<std::size_t>(rim)]) /
                             std::max(1.0f, strength[static_cast<std::size_t>(within)]));
  };
  for (int begin = 0; begin < length; ++begin) {
    if (covered[static_cast<std::size_t>(begin)] < least) continue;
    int end = begin + 1;
    while (end < length && covered[static_cast<std::size_t>(end)] >= least) ++end;
    Segment segment{static_cast<double>(begin), static_cast<double>(end)};
    if (end - begin > 2) {
      if (begin > 0) segment.begin = begin + 1 - share(begin, begin + 1);
      if (end < length) segment.end = end - 1 + share(end - 1, end - 2);
    }
    // A single cell between two segments is no gap.
    if (!segments.empty() && begin - std::ceil(segments.back().end) <= 1) {
      segments.back().end = segment.end;
    } else {
      segments.push_back(segment);
    }
    begin = end;
  }
}

}  // namespace

void make_profile(const PictureGrid& grid, std::span<const std::uint8_t> mask, const Background& background,
                  BeltAxis axis, BeltProfile& profile) {
  const bool horizontal = axis == BeltAxis::horizontal;
  const int across = horizontal ? grid.rows : grid.columns;
  profile.length = horizontal ? grid.columns : grid.rows;
  profile.lanes = 3 * ((across + kCellsOfLane - 1) / kCellsOfLane);
  const auto length = static_cast<std::size_t>(profile.length),
             lanes = static_cast<std::size_t>(profile.lanes);
  profile.values.assign(length * lanes, 0);
  profile.energy.assign(length + 1, 0);
  std::vector<int> covered(length);
  std::vector<float> strength(length);
  for (std::size_t index = 0; index < mask.size(); ++index) {
    if (mask[index] == 0) continue;
    const std::size_t row = index / static_cast<std::size_t>(grid.columns);
    const std::size_t column = index % static_cast<std::size_t>(grid.columns);
    const std::size_t along = horizontal ? column : row;
    const std::size_t lane = (horizontal ? row : column) / kCellsOfLane;
    ++covered[along];
    for (std::size_t i = 0; i < 3; ++i) {
      const float difference = grid.cells[index][i] - background.mean(index)[i];
      strength[along] += std::abs(difference);
      profile.values[along * lanes + 3 * lane + i] += static_cast<std::int16_t>(difference / kCellsOfLane);
    }
  }
  for (std::size_t along = 0; along < length; ++along) {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::int64_t value = profile.values[along * lanes + i];
      sum += value * value;
    }
    profile.energy[along + 1] = profile.energy[along] + sum;
  }
  find_segments(covered, strength, std::max(1, across / 32), profile.segments);
}

}  // namespace pila
