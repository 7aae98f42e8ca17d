// A picture at a glance: cells of mean colour, 96 on its longer side.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "apps/media/image.h"

namespace pila {

using CellColour = std::array<float, 3>;  // 0 to 255

struct PictureGrid {
  int columns = 0, rows = 0;
  std::vector<CellColour> cells;  // row by row

  bool same_size(const PictureGrid& other) const { return columns == other.columns && rows == other.rows; }
};

// Samples pictures; keeps its tables for the next one of the same size.
class PictureSampler {
 public:
  // A picture without pixels, or with fewer than its size says, has no cells.
  void sample(const media::Image& image, PictureGrid& grid);

 private:
  std::int64_t width_ = 0, height_ = 0;
  std::vector<std::int64_t> columns_, rows_;  // of the samples
};

// Root of the variance of a Laplacian of brightness, in levels: larger is sharper. Of the cells that are not
// 0 in `mask` (one byte a cell of `grid`), or of all for an empty mask.
double sharpness(const media::Image& image, const PictureGrid& grid, std::span<const std::uint8_t> mask);

}  // namespace pila
