// The gradient of a depthwise convolution's input. With stride 1 it is a sliding window with the taps in
// reverse order; a 3x3 window with stride 2 has its own loops; the rest goes pixel by pixel.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/depthwise_backward_data.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/depthwise_taps.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// With stride 2, columns 2q - pad and 2q + 1 - pad of dx form pair q: the first reads dy[q] through tap 0 and
// dy[q - 1] through tap 2, the second dy[q] through tap 1.
constexpr int kTilePairs = 4;

struct PairTile {
  const float* dy;  // column q - 1 of the first pair q
  const float* w;
  const Taps& rows;
  std::size_t channels;              // at least one vector
  float* dx;                         // the first pair's first column
  bool left_outside, right_outside;  // the first, the last column of dy lies outside
  bool past_caches;
};

template <class Lanes>
HWY_INLINE void store_pairs(Lanes lanes, const PairTile& tile, std::size_t c,
                            const FloatVector (&first)[kTilePairs], const FloatVector (&second)[kTilePairs]) {
  PILA_UNROLL for (int t = 0; t < kTilePairs; ++t) {
    float* dx = tile.dx + static_cast<std::size_t>(2 * t) * tile.channels + c;
    lanes.put(first[t], dx);
    lanes.put(second[t], dx + tile.channels);
  }
}

template <bool kEdge>
void pair_channels(const PairTile& tile, std::size_t c) {
  const FloatTag d;
  const std::size_t step = tile.channels;
  FloatVector first[kTilePairs], second[kTilePairs];
  PILA_UNROLL for (int t = 0; t < kTilePairs; ++t) first[t] = second[t] = hn::Zero(d);
  for (int r = 0; r < tile.rows.count; ++r) {
    const float* dy = tile.dy + tile.rows.pixel[r] + c;
    const float* w = tile.w + tile.rows.weight[r] + c;
    const auto w0 = hn::LoadU(d, w), w1 = hn::LoadU(d, w + step), w2 = hn::LoadU(d, w + 2 * step);
    auto before = hn::Zero(d);
    if (!kEdge || !tile.left_outside) before = hn::LoadU(d, dy);
    PILA_UNROLL for (int t = 0; t < kTilePairs; ++t) {
      auto here = hn::Zero(d);
      if (!kEdge || t < kTilePairs - 1 || !tile.right_outside) {
        here = hn::LoadU(d, dy + static_cast<std::size_t>(t + 1) * step);
      }
      first[t] = hn::MulAdd(here, w0, first[t]);
      first[t] = hn::MulAdd(before, w2, first[t]);
      second[t] = hn::MulAdd(here, w1, second[t]);
      before = here;
    }
  }
  if (tile.past_caches) {
    store_pairs(AllLanesPastCaches(), tile, c, first, second);
  } else {
    store_pairs(AllLanes(), tile, c, first, second);
  }
}

// Channels [begin, end), at least one vector. The last vector may overlap the one before it, and computes the
// same numbers again.
template <bool kEdge>
void run_pairs(const PairTile& tile, std::int64_t begin, std::int64_t end) {
  auto c = static_cast<std::size_t>(begin);
  const auto last = static_cast<std::size_t>(end);
  for (; c + kFloatLanes <= last; c += kFloatLanes) pair_channels<kEdge>(tile, c);
  if (c < last) pair_channels<kEdge>(tile, last - kFloatLanes);
}

// Which pairs are whole: [begin, end). Their columns of dy lie at most one outside on either side.
struct WholePairs {
  std::int64_t begin = 0, end = 0;

  explicit WholePairs(const ConvShape& shape) {
    const Window& window = shape.window;
    if (window.kernel_h != 3 || window.kernel_w != 3 || window.stride_h != 2 || window.stride_w != 2 ||
        window.dilation_h != 1 || window.dilation_w != 1 || window.pad_left < 0 || window.pad_left > 1 ||
        shape.in_c < static_cast<std::int64_t>(kFloatLanes)) {
      return;
    }
    begin = window.pad_left;  // with a pad of 1, column 0 is the second half of pair 0
    end = std::min((shape.in_w + window.pad_left) / 2, shape.out_w + 1);
    if (end - begin < kTilePairs) end = begin;
  }
};

void backward_data_slice(const DepthwiseBackwardData& args, const Slice& slice, bool past_caches) {
  const ConvShape& shape = args.shape;
  const Window& window = shape.window;
  const std::int64_t channels = shape.in_c, n = slice.image;
  const float* dy = static_cast<const float*>(args.dy) + n * shape.out_h * shape.out_w * channels;
  float* dx = static_cast<float*>(args.dx) + n * shape.in_h * shape.in_w * channels;
  const float* w = static_cast<const float*>(args.w);
  const WholePairs pairs(shape);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();

  for (std::int64_t ih = slice.row_begin; ih < slice.row_end; ++ih) {
    const Taps rows = readers_of(ih, shape.out_h, window.kernel_h, window.stride_h, window.dilation_h,
                                 window.pad_top, shape.out_w * channels, window.kernel_w * channels);
    const auto by_pixel = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t iw = begin; iw < end; ++iw) {
        const Taps columns = readers_of(iw, shape.out_w, window.kernel_w, window.stride_w, window.dilation_w,
                                        window.pad_left, channels, channels);
        sum_taps(
            {dy, w, rows, columns, nullptr, -kInfinity, kInfinity, dx + (ih * shape.in_w + iw) * channels},
            slice.channel_begin, slice.channel_end);
      }
    };
    if (pairs.begin == pairs.end) {
      by_pixel(0, shape.in_w);
      continue;
    }
    const std::int64_t first_column = 2 * pairs.begin - window.pad_left;
    const std::int64_t last_column = 2 * pairs.end - window.pad_left;
    by_pixel(0, first_column);
    for (std::int64_t next = pairs.begin; next < pairs.end; next += kTilePairs) {
      const std::int64_t q = std::min(next, pairs.end - kTilePairs);  // the last tile may overlap
      const PairTile tile{dy + (q - 1) * channels,
                          w,
                          rows,
                          static_cast<std::size_t>(channels),
                          dx + (ih * shape.in_w + 2 * q - window.pad_left) * channels,
                          q == 0,
                          q + kTilePairs > shape.out_w,
                          past_caches};
      if (tile.left_outside || tile.right_outside) {
        run_pairs<true>(tile, slice.channel_begin, slice.channel_end);
      } else {
        run_pairs<false>(tile, slice.channel_begin, slice.channel_end);
      }
    }
    by_pixel(last_column, shape.in_w);
  }
  if (past_caches) finish_past_caches();
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/past_caches.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(backward_data_slice);

bool supports(const DepthwiseBackwardData& args) { return is_plain_depthwise(args.type, args.shape); }

// The convolution of dy that gives dx where the stride is 1.
Sliding reversed(const DepthwiseBackwardData& args) {
  const ConvShape& shape = args.shape;
  const Window& window = shape.window;
  Sliding job;
  job.shape = shape;
  std::swap(job.shape.in_h, job.shape.out_h);
  std::swap(job.shape.in_w, job.shape.out_w);
  job.shape.window.pad_top = (window.kernel_h - 1) * window.dilation_h - window.pad_top;
  job.shape.window.pad_left = (window.kernel_w - 1) * window.dilation_w - window.pad_left;
  job.x = static_cast<const float*>(args.dy);
  job.w = static_cast<const float*>(args.w) + (window.kernel_h * window.kernel_w - 1) * shape.in_c;
  job.tap_step = -shape.in_c;
  job.y = static_cast<float*>(args.dx);
  return job;
}

Status backward_data(const DepthwiseBackwardData& args, const Launch& launch) {
  auto& pool = pool_of(*launch.stream);
  const ConvShape& shape = args.shape;
  if (shape.window.stride_h == 1 && shape.window.stride_w == 1) {
    slide(reversed(args), pool);
    return nullptr;
  }
  const auto compute = HWY_DYNAMIC_DISPATCH(backward_data_slice);
  const Slices slices{shape.batch, shape.in_h, shape.in_w, shape.in_c};
  const bool past_caches = goes_past_caches(static_cast<const float*>(args.dx), slices.size(), shape.in_c);
  pool.run(slices.count(), [&](std::int64_t index, int) { compute(args, slices[index], past_caches); });
  return nullptr;
}

}  // namespace

Kernel<DepthwiseBackwardData> depthwise_backward_data_kernel() {
  return {"depthwise_backward_data_f32", supports, nullptr, backward_data};
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
