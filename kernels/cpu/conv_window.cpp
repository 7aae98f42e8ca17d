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
  run.w = row % w.grid;
  run.h = row / w.grid % h.grid;
  run.image = row / w.grid / h.grid;
  while (run.first < rows) {
    run.end = static_cast<int>(std::min<std::int64_t>(rows, run.first + w.grid - run.w));
    const std::int64_t target_row = run.image * h.target + run.h * h.target_step + h.target_first;
    for (int r = run.first; r < run.end; ++r) {
      const std::int64_t target_w = (run.w + r - run.first) * w.target_step + w.target_first;
      offsets[r] = (target_row * w.target + target_w) * grid_.target_c;
    }
    fill(run, group, padded, worker, to);
    run.first = run.end;
    run.w = 0;
    if (++run.h == h.grid) {
      run.h = 0;
      ++run.image;
    }
  }
  for (std::int64_t tap = 0; tap < grid_.taps(); ++tap) {
    for (int r = rows; r < padded; ++r) to[tap * padded + r] = to[tap * padded];
  }
}

void WindowRows::fill(const Run& run, std::int64_t group, int padded, int worker, const float** to) const {
  const WindowAxis &h = grid_.h, &w = grid_.w;
  for (std::int64_t tap_h = 0; tap_h < h.taps; ++tap_h) {
    const std::int64_t source_h = run.h * h.step + h.first + tap_h * h.delta;
    const bool inside = source_h >= 0 && source_h < h.source;
    const std::int64_t row = inside ? run.image * h.source + source_h : 0;
    const float* image_row = grid_.source + row * w.source * grid_.source_c + group * grid_.depth;
    for (std::int64_t tap_w = 0; tap_w < w.taps; ++tap_w, to += padded) {
      if (!inside) {
        std::fill(to + run.first, to + run.end, zeros_);
        continue;
      }
      const std::int64_t begin_w = run.w * w.step + w.first + tap_w * w.delta;
      const std::int64_t last_w = w.source - grid_.pixels_w;  // the last place where a tap lies inside
      const auto place = [&](int r) { return begin_w + (r - run.first) * w.step; };
      int low = run.first, high = run.end;
      while (low < high && place(low) < 0) ++low;
      while (high > low && place(high - 1) > last_w) --high;
      const std::int64_t tap = tap_h * w.taps + tap_w;
      for (int r = run.first; r < low; ++r) to[r] = patch(image_row, place(r), tap, r, worker);
      for (int r = low; r < high; ++r) to[r] = image_row + place(r) * grid_.source_c;
      for (int r = high; r < run.end; ++r) to[r] = patch(image_row, place(r), tap, r, worker);
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
