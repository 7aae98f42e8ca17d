// Depthwise convolution forward, and the sliding window that its way back shares.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/depthwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/depthwise_taps.h"
#include "kernels/cpu/image_rows.h"
#include "kernels/cpu/simd_activation.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

constexpr int kTileColumns = 4;

// Up to two rows by four columns of outputs of a 3x3 window, all channels. Every input vector is loaded once
// and used for all outputs that see it.
struct Tile {
  const float* rows[5];  // the input rows at the tile's first column; null outside the image
  std::size_t channels;  // at least one vector
  const float* w;        // as in Sliding
  std::ptrdiff_t tap_step;
  const float* bias;
  float low, high;
  float* y;           // the tile's first output
  std::size_t y_row;  // from one row of outputs to the next
  bool past_caches;
  bool left_outside, right_outside;  // the first, the last input column lies outside the image
  Ahead* ahead;                      // what the next rows will want
};

template <class Lanes, int kRows>
HWY_INLINE void store_sums(Lanes lanes, const Tile& tile, std::size_t c,
                           const FloatVector (&sums)[kRows][kTileColumns]) {
  const FloatTag d;
  const auto low = hn::Set(d, tile.low), high = hn::Set(d, tile.high);
  PILA_UNROLL for (int i = 0; i < kRows; ++i) {
    float* y = tile.y + static_cast<std::size_t>(i) * tile.y_row + c;
    PILA_UNROLL for (int t = 0; t < kTileColumns; ++t) {
      lanes.put(clamp(low, high, sums[i][t]), y + static_cast<std::size_t>(t) * tile.channels);
    }
  }
}

// kEdge: the outside flags may be set.
template <int kStride, int kRows, bool kEdge>
void tile_channels(const Tile& tile, std::size_t c) {
  constexpr int kInRows = (kRows - 1) * kStride + 3;
  constexpr int kInColumns = (kTileColumns - 1) * kStride + 3;
  constexpr int kNewLines = kRows * kStride * kTileColumns * kStride;  // of input for as many outputs
  const FloatTag d;
  const std::size_t step = tile.channels;
  Ahead ahead = *tile.ahead;
  FloatVector sums[kRows][kTileColumns];
  const auto start = tile.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, tile.bias + c);
  PILA_UNROLL
  for (int i = 0; i < kRows; ++i) {
    PILA_UNROLL
    for (int t = 0; t < kTileColumns; ++t) sums[i][t] = start;
  }
  PILA_UNROLL
  for (int r = 0; r < kInRows; ++r) {
    if (tile.rows[r] == nullptr) continue;
    const float* x = tile.rows[r] + c;
    PILA_UNROLL
    for (int column = 0; column < kInColumns; ++column) {
      if (r * kInColumns + column < kNewLines) ahead.fetch();
      FloatVector v;
      if (kEdge && column == 0 && tile.left_outside) {
        v = hn::Zero(d);
      } else if (kEdge && column == kInColumns - 1 && tile.right_outside) {
        v = hn::Zero(d);
      } else {
        v = hn::LoadU(d, x + static_cast<std::size_t>(column) * step);
      }
      PILA_UNROLL
      for (int i = 0; i < kRows; ++i) {
        const int kh = r - i * kStride;
        PILA_UNROLL
        for (int kw = 0; kw < 3; ++kw) {
          const int t = (column - kw) / kStride;
          if (kh < 0 || kh > 2 || column < kw || (column - kw) % kStride != 0 || t >= kTileColumns) continue;
          const auto weight = hn::LoadU(d, tile.w + (kh * 3 + kw) * tile.tap_step + c);
          sums[i][t] = hn::MulAdd(v, weight, sums[i][t]);
        }
      }
    }
  }
  *tile.ahead = ahead;
  if (tile.past_caches) {
    store_sums(AllLanesPastCaches(), tile, c, sums);
  } else {
    store_sums(AllLanes(), tile, c, sums);
  }
}

// Channels [begin, end), at least one vector. The last vector may overlap the one before it, and computes the
// same numbers again.
template <int kStride, int kRows, bool kEdge>
void run_tile(const Tile& tile, std::size_t begin, std::size_t end) {
  std::size_t c = begin;
  for (; c + kFloatLanes <= end; c += kFloatLanes) tile_channels<kStride, kRows, kEdge>(tile, c);
  if (c < end) tile_channels<kStride, kRows, kEdge>(tile, end - kFloatLanes);
}

// Whether the tiles fit: at most one column outside on either side.
bool can_tile(const ConvShape& shape) {
  const Window& window = shape.window;
  const int stride = window.stride_w;
  const std::int64_t last = (shape.out_w - 1) * stride + 2 - window.pad_left;
  return window.kernel_h == 3 && window.kernel_w == 3 && window.dilation_h == 1 && window.dilation_w == 1 &&
         window.stride_h == stride && (stride == 1 || stride == 2) && window.pad_left >= 0 &&
         window.pad_left <= 1 && last <= shape.in_w && shape.out_w >= kTileColumns &&
         shape.in_c >= static_cast<std::int64_t>(kFloatLanes);
}

// Rows [oh, oh + kRows) of a slice. x and y: its image.
template <int kStride, int kRows>
void tile_rows(const Sliding& job, const Slice& slice, ImageRows& x, float* y, std::int64_t oh) {
  const ConvShape& shape = job.shape;
  const std::int64_t channels = shape.in_c, pad_left = shape.window.pad_left;
  Tile tile;
  tile.channels = static_cast<std::size_t>(channels);
  tile.w = job.w;
  tile.tap_step = job.tap_step;
  tile.bias = job.bias;
  tile.low = job.low;
  tile.high = job.high;
  tile.past_caches = job.past_caches;
  tile.y_row = static_cast<std::size_t>(shape.out_w * channels);
  const auto begin = static_cast<std::size_t>(slice.channel_begin);
  const auto end = static_cast<std::size_t>(slice.channel_end);
  constexpr int kInRows = (kRows - 1) * kStride + 3;
  x.want(oh, kRows);
  Ahead ahead = x.next(kRows);
  tile.ahead = &ahead;
  for (std::int64_t next = 0; next < shape.out_w; next += kTileColumns) {
    const std::int64_t ow = std::min(next, shape.out_w - kTileColumns);  // the last tile may overlap
    const std::int64_t first = ow * kStride - pad_left;
    const std::int64_t last = first + (kTileColumns - 1) * kStride + 2;
    for (int r = 0; r < kInRows; ++r) {
      const std::int64_t ih = oh * kStride - shape.window.pad_top + r;
      const bool inside = ih >= 0 && ih < shape.in_h;
      tile.rows[r] = inside ? x.base() + x.offset(ih) + first * channels : nullptr;
    }
    tile.y = y + (oh * shape.out_w + ow) * channels;
    tile.left_outside = first < 0;
    tile.right_outside = last >= shape.in_w;
    if (tile.left_outside || tile.right_outside) {
      run_tile<kStride, kRows, true>(tile, begin, end);
    } else {
      run_tile<kStride, kRows, false>(tile, begin, end);
    }
  }
}

template <int kStride>
void tile_slice(const Sliding& job, const Slice& slice, ImageRows& x, float* y) {
  std::int64_t oh = slice.row_begin;
  for (; oh + 2 <= slice.row_end; oh += 2) tile_rows<kStride, 2>(job, slice, x, y, oh);
  if (oh < slice.row_end) tile_rows<kStride, 1>(job, slice, x, y, oh);
}

void general_slice(const Sliding& job, const Slice& slice, ImageRows& x, float* y) {
  const ConvShape& shape = job.shape;
  const Window& window = shape.window;
  for (std::int64_t oh = slice.row_begin; oh < slice.row_end; ++oh) {
    x.want(oh, 1);
    const Taps rows = row_taps(x, oh, shape, window.kernel_w * job.tap_step);
    for (std::int64_t ow = 0; ow < shape.out_w; ++ow) {
      const Taps columns = taps_at(ow, shape.in_w, window.kernel_w, window.stride_w, window.dilation_w,
                                   window.pad_left, shape.in_c, job.tap_step);
      sum_taps({x.base(), job.w, rows, columns, job.bias, job.low, job.high,
                y + (oh * shape.out_w + ow) * shape.in_c},
               slice.channel_begin, slice.channel_end);
    }
  }
}

void slide_slice(const Sliding& job, const Slice& slice, float* ring) {
  const ConvShape& shape = job.shape;
  ImageRows x(shape, job.x + slice.image * shape.in_h * shape.in_w * shape.in_c, job.prologue, ring,
              slice.channel_begin, slice.channel_end);
  float* y = job.y + slice.image * shape.out_h * shape.out_w * shape.in_c;
  if (!can_tile(shape)) return general_slice(job, slice, x, y);
  shape.window.stride_w == 1 ? tile_slice<1>(job, slice, x, y) : tile_slice<2>(job, slice, x, y);
  if (job.past_caches) finish_past_caches();
}

// y = activation(y) + residual.
void finish_range(Activation activation, const float* residual, float* y, std::size_t count) {
  const FloatTag d;
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    auto v = activate(d, activation, hn::LoadU(d, y + i));
    if (residual != nullptr) v = hn::Add(v, hn::LoadU(d, residual + i));
    hn::StoreU(v, d, y + i);
  }
  if (i < count) {
    auto v = activate(d, activation, load_partial(d, y + i, count - i));
    if (residual != nullptr) v = hn::Add(v, load_partial(d, residual + i, count - i));
    store_partial(v, d, y + i, count - i);
  }
}

void finish_slice(const Sliding& job, const Slice& slice) {
  const ConvShape& shape = job.shape;
  const std::int64_t first = slice.image * shape.out_h + slice.row_begin;
  const std::int64_t last = slice.image * shape.out_h + slice.row_end;
  const auto finish = [&](std::int64_t start, std::int64_t count) {
    finish_range(job.activation, job.residual == nullptr ? nullptr : job.residual + start, job.y + start,
                 static_cast<std::size_t>(count));
  };
  const std::int64_t width = slice.channel_end - slice.channel_begin;
  if (width == shape.in_c) {
    finish(first * shape.out_w * width, (last - first) * shape.out_w * width);
    return;
  }
  for (std::int64_t pixel = first * shape.out_w; pixel < last * shape.out_w; ++pixel) {
    finish(pixel * shape.in_c + slice.channel_begin, width);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/families.h"
#include "kernels/cpu/past_caches.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(slide_slice);
HWY_EXPORT(finish_slice);

bool supports(const DepthwiseForward& args) { return is_plain_depthwise(args.type, args.shape); }

std::size_t workspace(const DepthwiseForward& args, const Stream& stream) {
  return sizeof(float) * static_cast<std::size_t>(ImageRows::ring_size(args.shape, args.prologue) *
                                                  pool_of(stream).threads());
}

Status forward(const DepthwiseForward& args, const Launch& launch) {
  Sliding job;
  job.shape = args.shape;
  job.x = static_cast<const float*>(args.x);
  job.prologue = args.prologue;
  job.w = static_cast<const float*>(args.w);
  job.tap_step = args.shape.in_c;
  job.y = static_cast<float*>(args.y);
  job.bias = static_cast<const float*>(args.epilogue.bias);
  job.residual = static_cast<const float*>(args.epilogue.residual);
  switch (args.epilogue.activation) {
    case Activation::relu6:
      job.high = 6;
      [[fallthrough]];
    case Activation::relu:
      job.low = 0;
      break;
    default:
      job.activation = args.epilogue.activation;
  }
  slide(job, pool_of(*launch.stream), static_cast<float*>(launch.workspace));
  return nullptr;
}

}  // namespace

void slide(Sliding job, ThreadPool& pool, float* ring) {
  const auto compute = HWY_DYNAMIC_DISPATCH(slide_slice);
  const auto finish = HWY_DYNAMIC_DISPATCH(finish_slice);
  const ConvShape& shape = job.shape;
  // A slice normalises anew the rows that it shares with the one above.
  const std::int64_t least_rows = job.prologue.scaling == nullptr ? 1 : 32;
  const Slices slices{shape.batch, shape.out_h, shape.out_w, shape.in_c, least_rows};
  const std::int64_t ring_size = ImageRows::ring_size(shape, job.prologue);
  const bool second_pass = job.activation != Activation::none || job.residual != nullptr;
  job.past_caches = !second_pass && goes_past_caches(job.y, slices.size(), shape.in_c);
  pool.run(slices.count(), [&](std::int64_t index, int worker) {
    const Slice slice = slices[index];
    compute(job, slice, ring + worker * ring_size);
    if (second_pass) finish(job, slice);
  });
}

void add_depthwise_kernels(KernelTable& table) {
  table.depthwise_forward.add({"depthwise_forward_f32", supports, workspace, forward});
  table.depthwise_backward_data.add(depthwise_backward_data_kernel());
  table.depthwise_backward_filter.add(depthwise_backward_filter_kernel());
  table.depthwise_gradients.add(depthwise_gradients_kernel());
  table.depthwise_gradients.add(depthwise_gradients_passes_kernel());
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
