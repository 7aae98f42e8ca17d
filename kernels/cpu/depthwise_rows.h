// Depthwise convolution of one vector of channels, over rows that lie vector by vector with their borders of
// zeros: no output needs a look at where it stands. Included like simd.h.

#if defined(PILA_KERNELS_CPU_DEPTHWISE_ROWS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_DEPTHWISE_ROWS_H_
#undef PILA_KERNELS_CPU_DEPTHWISE_ROWS_H_
#else
#define PILA_KERNELS_CPU_DEPTHWISE_ROWS_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/simd_elements.h"
#include "kernels/cpu/simd_lanes.h"
#include "kernels/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// clamp(bias + sum over taps of x * w), for one or two rows of `columns` outputs.
struct DepthwiseRows {
  const float* const* x;  // [(rows of y - 1) * stride + kernel] rows of [columns, kFloatLanes]
  const float* w;         // [kernel * kernel, kFloatLanes], and the bias of as many behind it
  float low, high;
  std::int64_t columns;
};

// Where they go, as elements: output c of row r to y + r * row + c * step.
template <class Element>
struct DepthwiseOutput {
  Rounding<Element> round;
  Element* y;
  std::ptrdiff_t row, step;
};

// kRows by kColumns outputs from `column` on. Every number of x is loaded once.
template <int kKernel, int kStride, int kRows, int kColumns, class Element>
HWY_INLINE void depthwise_tile(const DepthwiseRows& job, const DepthwiseOutput<Element>& out,
                               std::int64_t column) {
  constexpr int kInRows = (kRows - 1) * kStride + kKernel;
  constexpr int kInColumns = (kColumns - 1) * kStride + kKernel;
  const FloatTag d;
  const float* HWY_RESTRICT w = job.w;
  FloatVector sums[kRows][kColumns];
  const auto bias = hn::LoadU(d, w + kKernel * kKernel * kFloatLanes);
  PILA_UNROLL for (int i = 0; i < kRows; ++i) {
    PILA_UNROLL for (int t = 0; t < kColumns; ++t) sums[i][t] = bias;
  }
  PILA_UNROLL for (int r = 0; r < kInRows; ++r) {
    const float* HWY_RESTRICT x = job.x[r] + column * kStride * static_cast<std::int64_t>(kFloatLanes);
    PILA_UNROLL for (int c = 0; c < kInColumns; ++c) {
      const auto v = hn::LoadU(d, x + static_cast<std::size_t>(c) * kFloatLanes);
      PILA_UNROLL for (int i = 0; i < kRows; ++i) {
        PILA_UNROLL for (int kw = 0; kw < kKernel; ++kw) {
          const int kh = r - i * kStride, t = (c - kw) / kStride;
          if (kh < 0 || kh >= kKernel || c < kw || (c - kw) % kStride != 0 || t >= kColumns) continue;
          const auto weight = hn::LoadU(d, w + static_cast<std::size_t>(kh * kKernel + kw) * kFloatLanes);
          sums[i][t] = hn::MulAdd(v, weight, sums[i][t]);
        }
      }
    }
  }
  const auto low = hn::Set(d, job.low), high = hn::Set(d, job.high);
  PILA_UNROLL for (int i = 0; i < kRows; ++i) {
    PILA_UNROLL for (int t = 0; t < kColumns; ++t) {
      out.round(clamp(low, high, sums[i][t]), out.y + i * out.row + (column + t) * out.step);
    }
  }
}

template <int kKernel, int kStride, int kRows, class Element>
HWY_NOINLINE void depthwise_rows(const DepthwiseRows& job, const DepthwiseOutput<Element>& out) {
  constexpr int kColumns = 4;
  std::int64_t column = 0;
  for (; column + kColumns <= job.columns; column += kColumns) {
    depthwise_tile<kKernel, kStride, kRows, kColumns>(job, out, column);
  }
  for (; column < job.columns; ++column) depthwise_tile<kKernel, kStride, kRows, 1>(job, out, column);
}

template <class Element>
using DepthwiseRowsKernel = void (*)(const DepthwiseRows&, const DepthwiseOutput<Element>&);

// The one for `rows` (1 or 2) rows of outputs of a square window of 3 or 5 with a stride of 1 or 2.
template <class Element>
DepthwiseRowsKernel<Element> depthwise_rows_kernel(int kernel, int stride, int rows) {
  static constexpr DepthwiseRowsKernel<Element> kKernels[2][2][2] = {
      {{depthwise_rows<3, 1, 1, Element>, depthwise_rows<3, 1, 2, Element>},
       {depthwise_rows<3, 2, 1, Element>, depthwise_rows<3, 2, 2, Element>}},
      {{depthwise_rows<5, 1, 1, Element>, depthwise_rows<5, 1, 2, Element>},
       {depthwise_rows<5, 2, 1, Element>, depthwise_rows<5, 2, 2, Element>}}};
  return kKernels[kernel / 2 - 1][stride - 1][rows - 1];
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
