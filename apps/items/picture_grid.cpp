#include "apps/items/picture_grid.h"

#include <algorithm>
#include <cmath>

namespace pila {
namespace {

constexpr std::int64_t kLongSide = 96;
constexpr std::int64_t kSamples = 4;  // a cell, each way: noise counts a quarter

std::int64_t cells_of(std::int64_t side, std::int64_t longer) {
  const std::int64_t most = std::min(kLongSide, longer);
  return std::clamp<std::int64_t>((side * most + longer / 2) / longer, 1, side);
}

void place_samples(std::int64_t side, std::int64_t cells, std::int64_t stride,
                   std::vector<std::int64_t>& places) {
  places.clear();
  const std::int64_t count = cells * kSamples;
  for (std::int64_t i = 0; i < count; ++i) places.push_back((2 * i + 1) * side / (2 * count) * stride);
}

}  // namespace

void PictureSampler::sample(const media::Image& image, PictureGrid& grid) {
  grid.columns = grid.rows = 0;
  grid.cells.clear();
  if (image.width < 1 || image.height < 1 ||
      static_cast<std::int64_t>(image.pixels.size()) / image.width / 3 < image.height) {
    return;
  }
  const std::int64_t longer = std::max(image.width, image.height);
  grid.columns = static_cast<int>(cells_of(image.width, longer));
  grid.rows = static_cast<int>(cells_of(image.height, longer));
  if (image.width != width_ || image.height != height_) {
    width_ = image.width;
    height_ = image.height;
    place_samples(width_, grid.columns, 3, columns_);
    place_samples(height_, grid.rows, 3 * width_, rows_);
  }
  grid.cells.resize(static_cast<std::size_t>(grid.columns) * static_cast<std::size_t>(grid.rows));
  for (std::int64_t row = 0; row < grid.rows; ++row) {
    CellColour* cell = &grid.cells[static_cast<std::size_t>(row * grid.columns)];
    const std::int64_t* at = columns_.data();
    for (std::int64_t column = 0; column < grid.columns; ++column, ++cell, at += kSamples) {
      int red = 0, green = 0, blue = 0;
      for (std::int64_t i = 0; i < kSamples; ++i) {
        const std::uint8_t* line = &image.pixels[static_cast<std::size_t>(rows_[row * kSamples + i])];
        for (std::int64_t j = 0; j < kSamples; ++j) {
          const std::uint8_t* pixel = line + at[j];
          red += pixel[0];
          green += pixel[1];
          blue += pixel[2];
        }
      }
      constexpr float kShare = 1.0f / (kSamples * kSamples);
      *cell = {static_cast<float>(red) * kShare, static_cast<float>(green) * kShare,
               static_cast<float>(blue) * kShare};
    }
  }
}

double sharpness(const media::Image& image, const PictureGrid& grid, std::span<const std::uint8_t> mask) {
  if (image.width < 3 || image.height < 3 || grid.cells.empty()) return 0;
  const std::int64_t stride = 3 * image.width;
  const auto place = [](std::int64_t cell, std::int64_t half, std::int64_t side, std::int64_t cells) {
    return std::clamp<std::int64_t>((4 * cell + 1 + 2 * half) * side / (4 * cells), 1, side - 2);
  };
  double sum = 0, squares = 0, count = 0;
  for (std::int64_t row = 0; row < grid.rows; ++row) {
    for (std::int64_t column = 0; column < grid.columns; ++column) {
      if (!mask.empty() && mask[static_cast<std::size_t>(row * grid.columns + column)] == 0) continue;
      for (int i = 0; i < 4; ++i) {
        const std::int64_t x = place(column, i % 2, image.width, grid.columns);
        const std::int64_t y = place(row, i / 2, image.height, grid.rows);
        const std::uint8_t* green = &image.pixels[static_cast<std::size_t>(y * stride + 3 * x + 1)];
        const int laplacian = 4 * green[0] - green[-3] - green[3] - green[-stride] - green[stride];
        sum += laplacian;
        squares += laplacian * laplacian;
        ++count;
      }
    }
  }
  if (count == 0) return 0;
  const double mean = sum / count;
  return std::sqrt(std::max(0.0, squares / count - mean * mean));
}

}  // namespace pila
