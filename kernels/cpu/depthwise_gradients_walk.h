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
#include "kernels/cpu/depthwise_gradients.h"
#include "kernels/cpu/simd_lanes.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// What the next steps will read.
struct GradientAhead {
  Ahead x, y, dy;

  template <int kInputs>
  HWY_INLINE void fetch() {
    PILA_UNROLL for (int i = 0; i < kInputs; ++i) x.fetch();
    y.fetch();
    dy.fetch();
  }
};

// Some steps of rows, from the first step's first column on.
struct GradientWalk {
  struct Step {
    bool inside[2];  // which of its rows lie inside the image
    const float* x[2];
    float* dx[2];
  };
  Step steps[kMaxGradientSteps];
  const float* g[kMaxGradientSteps + 2];  // what the first step sees, the uppermost row first, and so on
  std::int64_t count, columns;            // of steps: rows and columns
  std::size_t pixel;                      // from one column of x and dx to the next
  bool left_outside, right_outside;       // the first, the last column
  GradientAhead ahead;
};

// One vector of channels.
struct GradientVector {
  std::size_t channel, g;  // where it begins, in pixels and in rows of g
  const float* w;
  std::size_t w_tap;  // from one tap's weights to the next
  float* sums;
  std::size_t sums_tap;
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

// With stride 1 column i is read by the outputs in columns i to i + 2 of g; rows likewise.
template <bool kDx, bool kDw, class Lanes>
class WalkOnes {
 public:
  WalkOnes(Lanes lanes, GradientWalk& walk, const GradientVector& vector)
      : lanes_(lanes), walk_(walk), vector_(vector), ahead_(walk.ahead) {}

  HWY_INLINE void run() {
    if (kDx) w_.load(lanes_, vector_.w, vector_.w_tap);
    dw_.clear();
    for (std::int64_t r = 0; r < walk_.count; ++r) row(walk_.steps[r], walk_.g + r);
    walk_.ahead = ahead_;
    if (kDw) dw_.add_to(vector_.sums, vector_.sums_tap);
  }

 private:
  HWY_INLINE void row(const GradientWalk::Step& step, const float* const* rows) {
    const FloatTag d;
    const float* x = step.x[0];
    float* dx = step.dx[0];
    const float *g0 = rows[0] + vector_.g, *g1 = rows[1] + vector_.g, *g2 = rows[2] + vector_.g;
    FloatVector g[3][3];
    PILA_UNROLL for (int c = 0; c < 2; ++c) {
      g[0][c] = hn::LoadU(d, g0 + static_cast<std::size_t>(c) * kFloatLanes);
      g[1][c] = hn::LoadU(d, g1 + static_cast<std::size_t>(c) * kFloatLanes);
      g[2][c] = hn::LoadU(d, g2 + static_cast<std::size_t>(c) * kFloatLanes);
    }
    std::size_t at = vector_.channel, g_at = 2 * kFloatLanes;
    for (std::int64_t t = 0; t < walk_.columns; ++t, at += walk_.pixel, g_at += kFloatLanes) {
      ahead_.template fetch<1>();
      g[0][2] = hn::LoadU(d, g0 + g_at);
      g[1][2] = hn::LoadU(d, g1 + g_at);
      g[2][2] = hn::LoadU(d, g2 + g_at);
      GradientPixel<kDx, kDw> pixel;
      if (kDw) pixel.x = lanes_.load(x + at);
      PILA_UNROLL for (int r = 0; r < 3; ++r) {
        PILA_UNROLL for (int c = 0; c < 3; ++c) {
          pixel.add(g[r][c], w_.at[2 - r][2 - c], dw_.at[2 - r][2 - c]);
        }
      }
      if (kDx) lanes_.put(pixel.dx, dx + at);
      PILA_UNROLL for (int r = 0; r < 3; ++r) {
        g[r][0] = g[r][1];
        g[r][1] = g[r][2];
      }
    }
  }

  const Lanes lanes_;
  GradientWalk& walk_;
  const GradientVector& vector_;
  GradientAhead ahead_;
  Taps3x3 w_, dw_;
};

// With stride 2 the first column of step i is read by the outputs in columns i and i + 1 of g, through taps 2
// and 0, and the second by the latter, through tap 1; rows likewise.
template <bool kDx, bool kDw, class Lanes>
class WalkPairs {
 public:
  WalkPairs(Lanes lanes, GradientWalk& walk, const GradientVector& vector)
      : lanes_(lanes), walk_(walk), vector_(vector), ahead_(walk.ahead) {}

  HWY_INLINE void run() {
    if (kDx) w_.load(lanes_, vector_.w, vector_.w_tap);
    dw_.clear();
    for (std::int64_t r = 0; r < walk_.count; ++r) {
      const GradientWalk::Step& step = walk_.steps[r];
      if (step.inside[0] && step.inside[1]) {
        row<true, true>(step, walk_.g + r);
      } else if (step.inside[0]) {
        row<true, false>(step, walk_.g + r);
      } else if (step.inside[1]) {
        row<false, true>(step, walk_.g + r);
      }
    }
    walk_.ahead = ahead_;
    if (kDw) dw_.add_to(vector_.sums, vector_.sums_tap);
  }

 private:
  // kTop, kBottom: which of the step's rows there are; kLeft, kRight: columns.
  template <bool kTop, bool kBottom>
  HWY_INLINE void row(const GradientWalk::Step& step, const float* const* rows) {
    const FloatTag d;
    const float *g0 = rows[0] + vector_.g, *g1 = rows[1] + vector_.g;
    if (kTop) before_[0] = hn::LoadU(d, g0);
    before_[1] = hn::LoadU(d, g1);
    const std::int64_t end = walk_.columns - (walk_.right_outside ? 1 : 0);
    std::int64_t t = 0;
    std::size_t at = vector_.channel;
    const auto load = [&](std::int64_t column) HWY_ATTR {
      const auto g_at = static_cast<std::size_t>(column + 1) * kFloatLanes;
      ahead_.template fetch<4>();
      if (kTop) here_[0] = hn::LoadU(d, g0 + g_at);
      here_[1] = hn::LoadU(d, g1 + g_at);
    };
    if (walk_.left_outside) {
      load(t++);
      columns<kTop, kBottom, false, true>(step, at);
      at += 2 * walk_.pixel;
    }
    for (; t < end; ++t, at += 2 * walk_.pixel) {
      load(t);
      columns<kTop, kBottom, true, true>(step, at);
    }
    if (walk_.right_outside) {
      load(t);
      columns<kTop, kBottom, true, false>(step, at);
    }
  }

  template <bool kTop, bool kBottom, bool kLeft, bool kRight>
  HWY_INLINE void columns(const GradientWalk::Step& step, std::size_t at) {
    using Pixel = GradientPixel<kDx, kDw>;
    const std::size_t right = at + walk_.pixel;
    if (kTop && kLeft) {
      Pixel pixel = begin(step.x[0], at);
      pixel.add(before_[0], w_.at[2][2], dw_.at[2][2]);
      pixel.add(here_[0], w_.at[2][0], dw_.at[2][0]);
      pixel.add(before_[1], w_.at[0][2], dw_.at[0][2]);
      pixel.add(here_[1], w_.at[0][0], dw_.at[0][0]);
      if (kDx) lanes_.put(pixel.dx, step.dx[0] + at);
    }
    if (kTop && kRight) {
      Pixel pixel = begin(step.x[0], right);
      pixel.add(here_[0], w_.at[2][1], dw_.at[2][1]);
      pixel.add(here_[1], w_.at[0][1], dw_.at[0][1]);
      if (kDx) lanes_.put(pixel.dx, step.dx[0] + right);
    }
    if (kBottom && kLeft) {
      Pixel pixel = begin(step.x[1], at);
      pixel.add(before_[1], w_.at[1][2], dw_.at[1][2]);
      pixel.add(here_[1], w_.at[1][0], dw_.at[1][0]);
      if (kDx) lanes_.put(pixel.dx, step.dx[1] + at);
    }
    if (kBottom && kRight) {
      Pixel pixel = begin(step.x[1], right);
      pixel.add(here_[1], w_.at[1][1], dw_.at[1][1]);
      if (kDx) lanes_.put(pixel.dx, step.dx[1] + right);
    }
    if (kTop) before_[0] = here_[0];
    before_[1] = here_[1];
  }

  HWY_INLINE GradientPixel<kDx, kDw> begin(const float* x, std::size_t at) const {
    GradientPixel<kDx, kDw> pixel;
    if (kDw) pixel.x = lanes_.load(x + at);
    return pixel;
  }

  const Lanes lanes_;
  GradientWalk& walk_;
  const GradientVector& vector_;
  GradientAhead ahead_;
  Taps3x3 w_, dw_;
  FloatVector before_[2], here_[2];  // of g: two columns of two rows
};

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
