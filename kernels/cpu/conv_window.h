// Where a window's taps read: the rows of op(a) that a convolution's products go over.
#pragma once

#include <cstdint>

#include "kernels/cpu/gemm_blocks.h"
#include "kernels/cpu/gemm_tile.h"

namespace pila::kernels::cpu {

// One axis. Place i of the grid reads source places i * step + first + tap * delta, for tap < taps.
struct WindowAxis {
  std::int64_t source = 0, grid = 0;
  std::int64_t step = 1, first = 0, delta = 1, taps = 1;
  std::int64_t target = 0, target_step = 1,
               target_first = 0;  // place i is written to i * target_step + target_first
};

// A grid of places over a batch of images, each with taps_h * taps_w taps of `depth` numbers. A tap covers
// `pixels_w` neighbouring pixels of a row; what lies outside the source is zero.
struct WindowGrid {
  const float* source = nullptr;
  std::int64_t batch = 0;
  WindowAxis h, w;
  std::int64_t source_c = 0, target_c = 0;  // numbers of a pixel
  std::int64_t depth = 0;
  std::int64_t pixels_w = 1;

  std::int64_t places() const { return batch * h.grid * w.grid; }
  std::int64_t taps() const { return h.taps * w.taps; }
};

// Hands out the rows of a RowProduct. Group g reads `depth` channels from g * depth on.
class WindowRows {
 public:
  WindowRows(const WindowGrid& grid, Scratch& scratch, int threads);

  const float** pointers(int worker) const { return pointers_ + worker * grid_.taps() * kMaxTileRows; }

  void tile(std::int64_t group, std::int64_t row, int rows, int padded, int worker, const float** to,
            std::int64_t* offsets) const;

 private:
  // Places of one image row: number `first` of a tile up to `end`, the first of them at grid place w.
  struct Run {
    int first, end;
    std::int64_t image, h, w;
  };

  void fill(const Run& run, std::int64_t group, int padded, int worker, const float** to) const;
  const float* patch(const float* image_row, std::int64_t w, std::int64_t tap, int r, int worker) const;

  const WindowGrid grid_;
  const float** pointers_;  // [threads, taps, kMaxTileRows]
  float* zeros_;            // [depth]
  float* patches_;          // [threads, taps, kMaxTileRows, depth] where taps may lie half outside
};

}  // namespace pila::kernels::cpu
