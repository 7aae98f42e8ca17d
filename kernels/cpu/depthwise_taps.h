// One pixel's sum over any taps: the way for windows, strides and borders that have no loops of their own.
// Included like simd.h.

#if defined(PILA_KERNELS_CPU_DEPTHWISE_TAPS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_DEPTHWISE_TAPS_H_
#undef PILA_KERNELS_CPU_DEPTHWISE_TAPS_H_
#else
#define PILA_KERNELS_CPU_DEPTHWISE_TAPS_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/image_rows.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_lanes.h"
#include "kernels/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// The taps along one axis that hit the image, as offsets to pixels and weights.
struct Taps {
  int count = 0;
  std::ptrdiff_t pixel[kMaxDepthwiseTaps];
  std::ptrdiff_t weight[kMaxDepthwiseTaps];

  void add(std::ptrdiff_t at, std::ptrdiff_t weights) {
    pixel[count] = at;
    weight[count++] = weights;
  }
};

// The taps of output place `out`.
inline Taps taps_at(std::int64_t out, std::int64_t size, int kernel, int stride, int dilation, int pad,
                    std::ptrdiff_t pixel_step, std::ptrdiff_t weight_step) {
  Taps taps;
  for (int k = 0; k < kernel; ++k) {
    const std::int64_t in = out * stride - pad + std::int64_t{k} * dilation;
    if (in >= 0 && in < size) taps.add(in * pixel_step, k * weight_step);
  }
  return taps;
}

// The rows under output row `oh`, as offsets to x.base().
inline Taps row_taps(const ImageRows& x, std::int64_t oh, const ConvShape& shape,
                     std::ptrdiff_t weight_step) {
  const Window& window = shape.window;
  Taps rows = taps_at(oh, shape.in_h, window.kernel_h, window.stride_h, window.dilation_h, window.pad_top, 1,
                      weight_step);
  for (int i = 0; i < rows.count; ++i) rows.pixel[i] = x.offset(rows.pixel[i]);
  return rows;
}

// The taps through which input place `in` is read, as offsets to outputs.
inline Taps readers_of(std::int64_t in, std::int64_t size, int kernel, int stride, int dilation, int pad,
                       std::ptrdiff_t pixel_step, std::ptrdiff_t weight_step) {
  Taps taps;
  for (int k = 0; k < kernel; ++k) {
    const std::int64_t first = in + pad - std::int64_t{k} * dilation;
    if (first >= 0 && first % stride == 0 && first / stride < size) {
      taps.add(first / stride * pixel_step, k * weight_step);
    }
  }
  return taps;
}

struct TapSum {
  const float* x;
  const float* w;
  const Taps& rows;
  const Taps& columns;
  const float* bias;  // may be null
  float low, high;
  float* y;

  template <class Lanes>
  HWY_INLINE void at(Lanes lanes, std::size_t c) const {
    const FloatTag d;
    auto sum = bias == nullptr ? hn::Zero(d) : lanes.load(bias + c);
    for (int i = 0; i < rows.count; ++i) {
      const float* pixels = x + rows.pixel[i] + c;
      const float* weights = w + rows.weight[i] + c;
      for (int j = 0; j < columns.count; ++j) {
        sum = hn::MulAdd(lanes.load(pixels + columns.pixel[j]), lanes.load(weights + columns.weight[j]), sum);
      }
    }
    lanes.store(clamp(hn::Set(d, low), hn::Set(d, high), sum), y + c);
  }
};

// Channels [begin, end).
inline void sum_taps(const TapSum& sum, std::int64_t begin, std::int64_t end) {
  auto c = static_cast<std::size_t>(begin);
  const auto last = static_cast<std::size_t>(end);
  for (; c + kFloatLanes <= last; c += kFloatLanes) sum.at(AllLanes(), c);
  if (c < last) sum.at(FirstLanes{last - c}, c);
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
