#include "apps/items/background.h"

#include <algorithm>
#include <cmath>

namespace pila {
namespace {

constexpr float kDarkest = 0.78f, kBrightest = 1.3f;  // shadows and reflections on the belt
constexpr float kSpreads = 3.5f, kLevels = 10;        // what is further away is something else
constexpr float kAlike = 20;                          // levels, for learning
constexpr float kFaintLevels = 4;                     // the same for other light
constexpr float kLongestFaint = 0.3f;                 // of the picture
constexpr int kNeighbours = 3;                        // of eight, that something needs around it

constexpr float kFollow = 0.05f, kFollowSpread = 0.02f;  // a frame
constexpr float kStillTravel = 3;                        // lengths of the picture
constexpr int kLongCovered = 4;                          // frames

// How far a colour is from any that the belt's colour has in more or less light, in levels.
float distance(const CellColour& colour, const CellColour& belt) {
  float across = 0, along = 1e-3f;
  for (int i = 0; i < 3; ++i) {
    across += colour[i] * belt[i];
    along += belt[i] * belt[i];
  }
  const float light = std::clamp(across / along, kDarkest, kBrightest);
  float sum = 0;
  for (int i = 0; i < 3; ++i) {
    const float difference = colour[i] - light * belt[i];
    sum += difference * difference;
  }
  return std::sqrt(sum);
}

float squared_difference(const CellColour& a, const CellColour& b) {
  float sum = 0;
  for (int i = 0; i < 3; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

float limit(float spread) { return kSpreads * spread + kLevels; }

// How common colours are, from 0 to 1 for the most common.
class CommonColours {
 public:
  explicit CommonColours(std::span<const PictureGrid> grids) : counts_(kBins * kBins * kBins) {
    for (const PictureGrid& grid : grids) {
      for (const CellColour& colour : grid.cells) ++counts_[bin(colour, {0, 0, 0})];
    }
    for (const CellColour& colour : grids.back().cells) most_ = std::max(most_, around(colour));
  }
  float operator()(const CellColour& colour) const { return std::min(1.0f, around(colour) / most_); }

 private:
  static constexpr int kBins = 17;
  static constexpr float kWidth = 16;

  static std::size_t bin(const CellColour& colour, const CellColour& shift) {
    std::size_t index = 0;
    for (int i = 0; i < 3; ++i) {
      const float place = std::clamp((colour[i] + shift[i]) / kWidth, 0.0f, kBins - 1.0f);
      index = index * kBins + static_cast<std::size_t>(place);
    }
    return index;
  }
  // In the eight bins that are nearest.
  float around(const CellColour& colour) const {
    int sum = 0;
    for (const float red : {-kWidth / 2, kWidth / 2}) {
      for (const float green : {-kWidth / 2, kWidth / 2}) {
        for (const float blue : {-kWidth / 2, kWidth / 2}) sum += counts_[bin(colour, {red, green, blue})];
      }
    }
    return static_cast<float>(sum);
  }

  std::vector<int> counts_;
  float most_ = 1;
};

}  // namespace

void Background::learn(std::span<const PictureGrid> grids) {
  columns_ = grids.back().columns;
  rows_ = grids.back().rows;
  cells_.assign(grids.back().cells.size(), {});
  const CommonColours common(grids);
  for (std::size_t index = 0; index < cells_.size(); ++index) {
    float best = -1;
    std::size_t typical = 0;
    const auto alike = [&](std::size_t i, std::size_t j) {
      return squared_difference(grids[i].cells[index], grids[j].cells[index]) < kAlike * kAlike;
    };
    for (std::size_t i = 0; i < grids.size(); ++i) {
      float like = 0;
      for (std::size_t j = 0; j < grids.size(); ++j) like += alike(i, j) ? 1.0f : 0.0f;
      const float score = like / static_cast<float>(grids.size()) + 0.5f * common(grids[i].cells[index]);
      if (score <= best) continue;
      best = score;
      typical = i;
    }
    Cell& cell = cells_[index];
    float count = 0, squares = 0;
    for (std::size_t j = 0; j < grids.size(); ++j) {
      if (!alike(typical, j)) continue;
      for (int i = 0; i < 3; ++i) cell.mean[i] += grids[j].cells[index][i];
      ++count;
    }
    for (float& value : cell.mean) value /= count;
    for (std::size_t j = 0; j < grids.size(); ++j) {
      const float far = alike(typical, j) ? distance(grids[j].cells[index], cell.mean) : 0;
      squares += far * far;
    }
    cell.spread = std::sqrt(squares / count);
  }
}

void Background::compare(const PictureGrid& grid, std::vector<std::uint8_t>& mask) {
  // With a frame of zeros around it, so that no cell lacks neighbours.
  const int stride = columns_ + 2;
  unlike_.assign(static_cast<std::size_t>(stride * (rows_ + 2)), 0);
  mask.assign(cells_.size(), 0);
  std::size_t index = 0;
  for (int row = 0; row < rows_; ++row) {
    for (int column = 0; column < columns_; ++column, ++index) {
      const Cell& cell = cells_[index];
      const bool unlike = distance(grid.cells[index], cell.mean) > limit(cell.spread);
      unlike_[static_cast<std::size_t>((row + 1) * stride + column + 1)] = unlike ? 1 : 0;
    }
  }
  index = 0;
  for (int row = 0; row < rows_; ++row) {
    for (int column = 0; column < columns_; ++column, ++index) {
      const std::uint8_t* here = &unlike_[static_cast<std::size_t>((row + 1) * stride + column + 1)];
      if (*here == 0) continue;
      const int around = here[-1] + here[1] + here[-stride - 1] + here[-stride] + here[-stride + 1] +
                         here[stride - 1] + here[stride] + here[stride + 1];
      mask[index] = around >= kNeighbours ? 1 : 0;
    }
  }
  find_faint(grid);
  fill(mask);
}

void Background::find_faint(const PictureGrid& grid) {
  float across = 0, along = 1e-3f;
  for (std::size_t index = 0; index < cells_.size(); ++index) {
    const CellColour &colour = grid.cells[index], &belt = cells_[index].mean;
    if (distance(colour, belt) > limit(cells_[index].spread)) continue;
    for (int i = 0; i < 3; ++i) {
      across += colour[i] * belt[i];
      along += belt[i] * belt[i];
    }
  }
  const float light = across / along;
  faint_.resize(cells_.size());
  for (std::size_t index = 0; index < cells_.size(); ++index) {
    const Cell& cell = cells_[index];
    const CellColour belt = {light * cell.mean[0], light * cell.mean[1], light * cell.mean[2]};
    const float most = kSpreads * cell.spread + kFaintLevels;
    faint_[index] = squared_difference(grid.cells[index], belt) > most * most ? 1 : 0;
  }
}

// A short stretch of a row or column in other light, from something to something or to the picture's rim, is
// a dark part of a thing: a shadow has belt on its other side.
void Background::fill(std::vector<std::uint8_t>& mask) const {
  std::vector<std::size_t> filled;
  const auto fill_line = [&](int first, int step, int count) {
    const int longest = static_cast<int>(kLongestFaint * static_cast<float>(count));
    const auto at = [&](int i) { return static_cast<std::size_t>(first + i * step); };
    for (int begin = 0, end = 0; begin < count; begin = std::max(end, begin + 1)) {
      end = begin;
      while (end < count && mask[at(end)] == 0 && faint_[at(end)] != 0) ++end;
      const bool before = begin > 0 && mask[at(begin - 1)] != 0, behind = end < count && mask[at(end)] != 0;
      const bool open = (begin > 0 && !before) || (end < count && !behind);
      if (open || !(before || behind) || end - begin > longest) continue;
      for (int i = begin; i < end; ++i) filled.push_back(at(i));
    }
  };
  for (int row = 0; row < rows_; ++row) fill_line(row * columns_, 1, columns_);
  for (int column = 0; column < columns_; ++column) fill_line(column, columns_, rows_);
  for (const std::size_t index : filled) mask[index] = 1;
}

void Background::adapt(const PictureGrid& grid, std::span<const std::uint8_t> mask, double travel) {
  const int stride = columns_ + 2;
  std::size_t index = 0;
  for (int row = 0; row < rows_; ++row) {
    for (int column = 0; column < columns_; ++column, ++index) {
      Cell& cell = cells_[index];
      const CellColour& colour = grid.cells[index];
      if (mask[index] != 0) {
        if (cell.covered++ == 0 || squared_difference(colour, cell.cover) > kAlike * kAlike) {
          cell.cover = colour;
          cell.travel = 0;
        }
        cell.travel += static_cast<float>(travel);
        if (cell.travel > kStillTravel) cell = {colour, cell.spread};
        continue;
      }
      cell.covered = 0;
      cell.travel = 0;
      // The rim of a thing is no belt either.
      const std::uint8_t* here = &unlike_[static_cast<std::size_t>((row + 1) * stride + column + 1)];
      if (here[-1] + here[0] + here[1] + here[-stride] + here[stride] != 0) continue;
      const float far = distance(colour, cell.mean);
      cell.spread =
          std::sqrt(cell.spread * cell.spread + kFollowSpread * (far * far - cell.spread * cell.spread));
      for (int i = 0; i < 3; ++i) cell.mean[i] += kFollow * (colour[i] - cell.mean[i]);
    }
  }
  heal(grid);
}

void Background::heal(const PictureGrid& grid) {
  const auto visit = [&](int index, int neighbour) {
    Cell& cell = cells_[static_cast<std::size_t>(index)];
    const Cell& empty = cells_[static_cast<std::size_t>(neighbour)];
    if (cell.covered < kLongCovered || empty.covered > 0) return;
    if (distance(grid.cells[static_cast<std::size_t>(index)], empty.mean) > limit(empty.spread)) return;
    if (distance(cell.mean, empty.mean) <= limit(empty.spread)) return;
    cell = empty;
  };
  // To and fro, so that a whole patch heals from its rim at once.
  const int count = columns_ * rows_;
  for (int index = 1; index < count; ++index) {
    if (index % columns_ != 0) visit(index, index - 1);
    if (index >= columns_) visit(index, index - columns_);
  }
  for (int index = count - 2; index >= 0; --index) {
    if (index % columns_ != columns_ - 1) visit(index, index + 1);
    if (index < count - columns_) visit(index, index + columns_);
  }
}

}  // namespace pila
