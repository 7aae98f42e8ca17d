// The innermost loops of a depthwise convolution's gradients: along a step's rows, with a window of the
// outputs' gradients g in registers. Every number of x and g is loaded once. Included like simd.h.

#if defined(PILA_KERNELS_CPU_DEPTHWISE_GRADIENTS_WALK_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_DEPTHWISE_GRADIENTS_WALK_H_
#undef PILA_KERNELS_CPU_DEPTHWISE_GRADIENTS_WALK_H_
#else
#define PILA_KERNELS_CPU_DEPTHWISE_GRADIENTS_WALK_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/ahead.h"
#include "kernels/cpu/simd_lanes.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// What the next step will read.
struct GradientAhead {
  Ahead x, y, dy;

  template <int kInputs>
  HWY_INLINE void fetch() {
    PILA_UNROLL for (int i = 0; i < kInputs; ++i) x.fetch();
    y.fetch();
    dy.fetch();
  }
};

// A stretch of columns, one vector of channels.
struct GradientStretch {
  bool inside[2];     // which of a step's rows lie inside the image
  const float* x[2];  // the first step's first column
  float* dx[2];
  std::size_t pixel;  // from one column to the next
  const float* g[3];  // what the first step sees, the uppermost row first; null where there are but two
  std::int64_t steps;
  bool left_outside, right_outside;  // the first, the last column
  const float* w;
  std::size_t w_tap;  // from one tap's weights to the next
  float* sums;
  std::size_t sums_tap;
  GradientAhead* ahead;
};

// Nine weights, or what is to be added to their gradients.
struct Taps3x3 {
  FloatVector at[3][3];

  template <class Lanes>
  HWY_INLINE void load(Lanes lanes, const float* from, std::size_t step) {
    PILA_UNROLL for (int i = 0; i < 9; ++i) {
      at[i / 3][i % 3] = lanes.load(from + static_cast<std::size_t>(i) * step);
    }
  }
  HWY_INLINE void clear() { PILA_UNROLL for (int i = 0; i < 9; ++i) at[i / 3][i % 3] = hn::Zero(FloatTag()); }
  HWY_INLINE void add_to(float* sums, std::size_t step) const {
    const FloatTag d;
    PILA_UNROLL for (int i = 0; i < 9; ++i) {
      float* sum = sums + static_cast<std::size_t>(i) * step;
      hn::StoreU(hn::Add(hn::LoadU(d, sum), at[i / 3][i % 3]), d, sum);
    }
  }
};

// The gradient of one input, and what it adds to those of the weights: tap by tap.
template <bool kDx, bool kDw>
struct GradientPixel {
  FloatVector x, dx;
  bool any = false;

  HWY_INLINE void add(FloatVector g, FloatVector w, FloatVector& dw) {
    if (kDx) dx = any ? hn::MulAdd(g, w, dx) : hn::Mul(g, w);
    if (kDw) dw = hn::MulAdd(g, x, dw);
    any = true;
  }
};

// With stride 1 column i is read by the outputs in columns i to i + 2 of g.
template <bool kDx, bool kDw, class Lanes>
HWY_INLINE void walk_ones(Lanes lanes, const GradientStretch& stretch) {
  const FloatTag d;
  Taps3x3 w, dw;
  if (kDx) w.load(lanes, stretch.w, stretch.w_tap);
  dw.clear();
  FloatVector g[3][3];
  PILA_UNROLL for (int r = 0; r < 3; ++r) {
    g[r][0] = hn::LoadU(d, stretch.g[r]);
    g[r][1] = hn::LoadU(d, stretch.g[r] + kFloatLanes);
  }
  const float *next0 = stretch.g[0] + 2 * kFloatLanes, *next1 = stretch.g[1] + 2 * kFloatLanes,
              *next2 = stretch.g[2] + 2 * kFloatLanes;
  std::size_t at = 0, g_at = 0;
  GradientAhead ahead = *stretch.ahead;
  for (std::int64_t t = 0; t < stretch.steps; ++t, at += stretch.pixel, g_at += kFloatLanes) {
    ahead.fetch<1>();
    g[0][2] = hn::LoadU(d, next0 + g_at);
    g[1][2] = hn::LoadU(d, next1 + g_at);
    g[2][2] = hn::LoadU(d, next2 + g_at);
    GradientPixel<kDx, kDw> pixel;
    if (kDw) pixel.x = lanes.load(stretch.x[0] + at);
    PILA_UNROLL for (int r = 0; r < 3; ++r) {
      PILA_UNROLL for (int c = 0; c < 3; ++c) pixel.add(g[r][c], w.at[2 - r][2 - c], dw.at[2 - r][2 - c]);
    }
    if (kDx) lanes.put(pixel.dx, stretch.dx[0] + at);
    PILA_UNROLL for (int r = 0; r < 3; ++r) {
      g[r][0] = g[r][1];
      g[r][1] = g[r][2];
    }
  }
  *stretch.ahead = ahead;
  if (kDw) dw.add_to(stretch.sums, stretch.sums_tap);
}

// With stride 2 the first column of pair i is read by the outputs in columns i and i + 1 of g, through taps 2
// and 0, and the second by the latter, through tap 1; rows likewise.
template <bool kDx, bool kDw, bool kTop, bool kBottom, class Lanes>
class WalkPairs {
 public:
  WalkPairs(Lanes use, const GradientStretch& along) : lanes(use), stretch(along), ahead(*along.ahead) {}

  HWY_INLINE void run() {
    const FloatTag d;
    if (kDx) w.load(lanes, stretch.w, stretch.w_tap);
    dw.clear();
    if (kTop) before[0] = hn::LoadU(d, stretch.g[0]);
    before[1] = hn::LoadU(d, stretch.g[1]);
    const std::int64_t end = stretch.steps - (stretch.right_outside ? 1 : 0);
    std::int64_t t = 0;
    std::size_t at = 0, g_at = kFloatLanes;
    if (stretch.left_outside) {
      step<false, true>(at, g_at);
      ++t, at += 2 * stretch.pixel, g_at += kFloatLanes;
    }
    for (; t < end; ++t, at += 2 * stretch.pixel, g_at += kFloatLanes) step<true, true>(at, g_at);
    if (stretch.right_outside) step<true, false>(at, g_at);
    *stretch.ahead = ahead;
    if (kDw) dw.add_to(stretch.sums, stretch.sums_tap);
  }

 private:
  template <bool kLeft, bool kRight>
  HWY_INLINE void step(std::size_t at, std::size_t g_at) {
    const FloatTag d;
    ahead.template fetch<4>();
    FloatVector g[2];
    if (kTop) g[0] = hn::LoadU(d, stretch.g[0] + g_at);
    g[1] = hn::LoadU(d, stretch.g[1] + g_at);
    if (kTop && kLeft) {
      pixel(0, at, [&](auto& sum) HWY_ATTR {
        sum.add(before[0], w.at[2][2], dw.at[2][2]);
        sum.add(g[0], w.at[2][0], dw.at[2][0]);
        sum.add(before[1], w.at[0][2], dw.at[0][2]);
        sum.add(g[1], w.at[0][0], dw.at[0][0]);
      });
    }
    if (kTop && kRight) {
      pixel(0, at + stretch.pixel, [&](auto& sum) HWY_ATTR {
        sum.add(g[0], w.at[2][1], dw.at[2][1]);
        sum.add(g[1], w.at[0][1], dw.at[0][1]);
      });
    }
    if (kBottom && kLeft) {
      pixel(1, at, [&](auto& sum) HWY_ATTR {
        sum.add(before[1], w.at[1][2], dw.at[1][2]);
        sum.add(g[1], w.at[1][0], dw.at[1][0]);
      });
    }
    if (kBottom && kRight) {
      pixel(1, at + stretch.pixel, [&](auto& sum) HWY_ATTR { sum.add(g[1], w.at[1][1], dw.at[1][1]); });
    }
    if (kTop) before[0] = g[0];
    before[1] = g[1];
  }

  template <class Add>
  HWY_INLINE void pixel(int row, std::size_t at, const Add& add) {
    GradientPixel<kDx, kDw> sum;
    if (kDw) sum.x = lanes.load(stretch.x[row] + at);
    add(sum);
    if (kDx) lanes.put(sum.dx, stretch.dx[row] + at);
  }

  const Lanes lanes;
  const GradientStretch& stretch;
  GradientAhead ahead;
  Taps3x3 w, dw;
  FloatVector before[2];  // the column of g before the next one
};

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
