#include "kernels/cpu/conv_window.h"

#include <algorithm>

namespace pila::kernels::cpu {

WindowRows::WindowRows(const WindowGrid& grid, Scratch& scratch, int threads)
    : grid_(grid),
      pointers_(scratch.take<const float*>(threads * grid.taps() * kMaxTileRows)),
      zeros_(scratch.take<float>(grid.depth)),
      patches_(
          scratch.take<float>(grid.pixels_w > 1 ? threads * grid.taps() * kMaxTileRows * grid.depth : 0)) {
  if (zeros_ != nullptr) std::fill_n(zeros_, grid.depth, 0.0f);
}

void WindowRows::tile(std::int64_t group, std::int64_t row, int rows, int padded, int worker,
                      const float** to, std::int64_t* offsets) const {
  const WindowAxis &h = grid_.h, &w = grid_.w;
  Run run;
  run.first = 0;
  const std::int64_t image_row = row / w.grid;
  run.w = row - image_row * w.grid;
  run.image = image_row / h.grid;
  run.h = image_row - run.image * h.grid;
  while (run.first < rows) {
    run.end = static_cast<int>(std::min<std::int64_t>(rows, run.first + w.grid - run.w));
    const std::int64_t target_row = run.image * h.target + run.h * h.target_step + h.target_first;
    std::int64_t offset = (target_row * w.target + run.w * w.target_step + w.target_first) * grid_.target_c;
    for (int r = run.first; r < run.end; ++r, offset += w.target_step * grid_.target_c) offsets[r] = offset;
    fill(run, group, padded, worker, to);
    run.first = run.end;
    run.w = 0;
    if (++run.h == h.grid) {
      run.h = 0;
      ++run.image;
    }
  }
  if (rows == padded) return;
  for (std::int64_t tap = 0; tap < grid_.taps(); ++tap)
    std::fill(to + tap * padded + rows, to + (tap + 1) * padded, to[tap * padded]);
}

void WindowRows::fill(const Run& run, std::int64_t group, int padded, int worker, const float** to) const {
  const WindowAxis &h = grid_.h, &w = grid_.w;
  const std::int64_t last_w = w.source - grid_.pixels_w;  // the last place where a tap lies inside
  const std::int64_t stride = w.step * grid_.source_c;
  for (std::int64_t tap_h = 0; tap_h < h.taps; ++tap_h) {
    const std::int64_t source_h = run.h * h.step + h.first + tap_h * h.delta;
    if (source_h < 0 || source_h >= h.source) {
      for (std::int64_t tap_w = 0; tap_w < w.taps; ++tap_w, to += padded)
        std::fill(to + run.first, to + run.end, zeros_);
      continue;
    }
    const float* image_row =
        grid_.source + (run.image * h.source + source_h) * w.source * grid_.source_c + group * grid_.depth;
    for (std::int64_t tap_w = 0; tap_w < w.taps; ++tap_w, to += padded) {
      const std::int64_t tap = tap_h * w.taps + tap_w;
      const std::int64_t begin = run.w * w.step + w.first + tap_w * w.delta;
      const auto place = [&](int r) { return begin + (r - run.first) * w.step; };
      int low = run.first, high = run.end;
      for (; low < high && place(low) < 0; ++low) to[low] = patch(image_row, place(low), tap, low, worker);
      for (; high > low && place(high - 1) > last_w; --high) {
        to[high - 1] = patch(image_row, place(high - 1), tap, high - 1, worker);
      }
      const float* from = image_row + place(low) * grid_.source_c;
      for (int r = low; r < high; ++r, from += stride) to[r] = from;
    }
  }
}

// A tap that lies outside the image row, or half so.
const float* WindowRows::patch(const float* image_row, std::int64_t w, std::int64_t tap, int r,
                               int worker) const {
  if (w >= grid_.w.source || w + grid_.pixels_w <= 0) return zeros_;
  float* out = patches_ + ((worker * grid_.taps() + tap) * kMaxTileRows + r) * grid_.depth;
  const std::int64_t begin = std::max<std::int64_t>(w, 0), end = std::min(w + grid_.pixels_w, grid_.w.source);
  std::fill(out, out + (begin - w) * grid_.source_c, 0.0f);
  std::copy(image_row + begin * grid_.source_c, image_row + end * grid_.source_c,
            out + (begin - w) * grid_.source_c);
  std::fill(out + (end - w) * grid_.source_c, out + grid_.depth, 0.0f);
  return out;
}

}  // namespace pila::kernels::cpu
