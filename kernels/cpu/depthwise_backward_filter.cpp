// The gradient of a depthwise convolution's weights: sums over chunks of output rows, then over the chunks.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/depthwise_backward_filter.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/depthwise_taps.h"
#include "kernels/cpu/image_rows.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// A stretch of one output row under a 3x3 window, of which the rows inside the image count.
struct Stretch {
  const float* x[3];  // these rows at the first output's first column
  const float* dy;
  std::int64_t columns;  // of outputs
  std::size_t channels;
  bool left_outside, right_outside;  // the first, the last input column lies outside the image
  float* sums;                       // [3 * rows, channels]
  Ahead* x_ahead;                    // what the next rows will want
  Ahead* dy_ahead;
};

// Slides along the stretch with the window's x and all sums in registers.
template <int kStride, int kRows>
struct AddStretch {
  const Stretch& stretch;

  template <class Lanes>
  HWY_INLINE void at(Lanes lanes, std::size_t c) const {
    const FloatTag d;
    const std::size_t step = stretch.channels;
    constexpr int kKept = 3 - kStride;  // columns that the next output sees again
    FloatVector sums[kRows][3], window[kRows][3];
    PILA_UNROLL for (int r = 0; r < kRows; ++r) {
      const float* x = stretch.x[r] + c;
      PILA_UNROLL for (int k = 0; k < 3; ++k) {
        sums[r][k] = lanes.load(stretch.sums + static_cast<std::size_t>(3 * r + k) * step + c);
      }
      PILA_UNROLL for (int k = 0; k < kKept; ++k) {
        window[r][k] =
            k == 0 && stretch.left_outside ? hn::Zero(d) : lanes.load(x + static_cast<std::size_t>(k) * step);
      }
    }
    const float* dy = stretch.dy + c;
    std::size_t next = kKept * step + c;
    Ahead x_ahead = *stretch.x_ahead, dy_ahead = *stretch.dy_ahead;
    for (std::int64_t t = 0; t < stretch.columns; ++t, dy += step, next += kStride * step) {
      PILA_UNROLL for (int line = 0; line < kStride * kStride; ++line) x_ahead.fetch();
      dy_ahead.fetch();
      const bool outside = stretch.right_outside && t == stretch.columns - 1;
      const auto gradient = lanes.load(dy);
      PILA_UNROLL for (int r = 0; r < kRows; ++r) {
        const float* x = stretch.x[r] + next;
        if (kStride == 2) window[r][1] = lanes.load(x);
        window[r][2] = outside ? hn::Zero(d) : lanes.load(x + (kStride - 1) * step);
        PILA_UNROLL for (int k = 0; k < 3; ++k) sums[r][k] = hn::MulAdd(window[r][k], gradient, sums[r][k]);
        PILA_UNROLL for (int k = 0; k < kKept; ++k) window[r][k] = window[r][k + kStride];
      }
    }
    *stretch.x_ahead = x_ahead;
    *stretch.dy_ahead = dy_ahead;
    PILA_UNROLL for (int r = 0; r < kRows; ++r) {
      PILA_UNROLL for (int k = 0; k < 3; ++k) {
        lanes.store(sums[r][k], stretch.sums + static_cast<std::size_t>(3 * r + k) * step + c);
      }
    }
  }
};

template <class Adder>
void add_channels(const Adder& adder, std::size_t channels) {
  std::size_t c = 0;
  for (; c + kFloatLanes <= channels; c += kFloatLanes) adder.at(AllLanes(), c);
  if (c < channels) adder.at(FirstLanes{channels - c}, c);
}

template <int kStride>
void add_stretch(const Stretch& stretch, int rows) {
  switch (rows) {
    case 3:
      return add_channels(AddStretch<kStride, 3>{stretch}, stretch.channels);
    case 2:
      return add_channels(AddStretch<kStride, 2>{stretch}, stretch.channels);
    case 1:
      return add_channels(AddStretch<kStride, 1>{stretch}, stretch.channels);
    default:
      return;
  }
}

// One output pixel under any window.
struct AddPixel {
  const float* x;
  const float* dy;
  const Taps& rows;
  const Taps& columns;
  float* sums;

  template <class Lanes>
  HWY_INLINE void at(Lanes lanes, std::size_t c) const {
    const auto gradient = lanes.load(dy + c);
    for (int i = 0; i < rows.count; ++i) {
      for (int j = 0; j < columns.count; ++j) {
        float* sum = sums + rows.weight[i] + columns.weight[j] + c;
        lanes.store(
            hn::MulAdd(lanes.load(x + rows.pixel[i] + columns.pixel[j] + c), gradient, lanes.load(sum)), sum);
      }
    }
  }
};

// Whether stretches fit: at most one column outside on either side.
bool can_stretch(const ConvShape& shape) {
  const Window& window = shape.window;
  const int stride = window.stride_w;
  const std::int64_t last = (shape.out_w - 1) * stride + 2 - window.pad_left;
  return window.kernel_h == 3 && window.kernel_w == 3 && window.dilation_h == 1 && window.dilation_w == 1 &&
         window.stride_h == stride && (stride == 1 || stride == 2) && window.pad_left >= 0 &&
         window.pad_left <= 1 && last <= shape.in_w;
}

// Columns at a time: the rows of x under them stay in the first-level cache while all channels go by.
constexpr std::int64_t kStrip = 16;

// Some output rows of one image.
struct FilterRows {
  const ConvShape& shape;
  const float* dy;  // of the image
  std::int64_t begin, end;
  float* sums;  // [taps, channels]
};

void sum_stretches(const FilterRows& job, ImageRows& x) {
  const ConvShape& shape = job.shape;
  const Window& window = shape.window;
  const std::int64_t channels = shape.in_c;
  const std::int64_t strips = (shape.out_w + kStrip - 1) / kStrip;
  for (std::int64_t oh = job.begin; oh < job.end; ++oh) {
    x.want(oh, 1);
    const std::int64_t dy_row = shape.out_w * channels;
    const float* dy = job.dy + oh * dy_row;
    Ahead x_ahead = x.next(1), dy_ahead{dy + dy_row, dy + dy_row * std::min<std::int64_t>(2, job.end - oh)};
    for (std::int64_t strip = 0; strip < strips; ++strip) {
      const std::int64_t ow = shape.out_w * strip / strips, ow_end = shape.out_w * (strip + 1) / strips;
      const std::int64_t first = ow * window.stride_w - window.pad_left;
      const std::int64_t last = (ow_end - 1) * window.stride_w - window.pad_left + 2;
      Stretch stretch;
      int rows = 0, kh_first = 0;
      for (int kh = 0; kh < 3; ++kh) {
        const std::int64_t ih = oh * window.stride_h - window.pad_top + kh;
        if (ih < 0 || ih >= shape.in_h) continue;
        if (rows == 0) kh_first = kh;
        stretch.x[rows++] = x.base() + x.offset(ih) + first * channels;
      }
      stretch.dy = dy + ow * channels;
      stretch.columns = ow_end - ow;
      stretch.channels = static_cast<std::size_t>(channels);
      stretch.left_outside = first < 0;
      stretch.right_outside = last >= shape.in_w;
      stretch.sums = job.sums + 3 * kh_first * channels;
      stretch.x_ahead = &x_ahead;
      stretch.dy_ahead = &dy_ahead;
      const auto add = window.stride_w == 1 ? add_stretch<1> : add_stretch<2>;
      add(stretch, rows);
    }
  }
}

void sum_pixels(const FilterRows& job, ImageRows& x) {
  const ConvShape& shape = job.shape;
  const Window& window = shape.window;
  const std::int64_t channels = shape.in_c;
  for (std::int64_t oh = job.begin; oh < job.end; ++oh) {
    x.want(oh, 1);
    const Taps rows = row_taps(x, oh, shape, window.kernel_w * channels);
    for (std::int64_t ow = 0; ow < shape.out_w; ++ow) {
      const Taps columns = taps_at(ow, shape.in_w, window.kernel_w, window.stride_w, window.dilation_w,
                                   window.pad_left, channels, channels);
      add_channels(AddPixel{x.base(), job.dy + (oh * shape.out_w + ow) * channels, rows, columns, job.sums},
                   static_cast<std::size_t>(channels));
    }
  }
}

// Adds output rows [row, row_end), counted through all images, to sums [taps, channels].
void sum_rows(const DepthwiseBackwardFilter& args, std::int64_t row, std::int64_t row_end, float* sums,
              float* ring) {
  const ConvShape& shape = args.shape;
  const auto sum = can_stretch(shape) ? sum_stretches : sum_pixels;
  while (row < row_end) {
    const std::int64_t n = row / shape.out_h, begin = row % shape.out_h;
    const std::int64_t end = std::min(shape.out_h, begin + row_end - row);
    ImageRows x(shape, static_cast<const float*>(args.x) + n * shape.in_h * shape.in_w * shape.in_c,
                args.prologue, ring, 0, shape.in_c);
    sum({shape, static_cast<const float*>(args.dy) + n * shape.out_h * shape.out_w * shape.in_c, begin, end,
         sums},
        x);
    row += end - begin;
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/gemm_blocks.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(sum_rows);

// Output rows of all images, cut by shape alone: at most 64 chunks, and each with data enough to outweigh its
// own sums.
struct Chunks {
  std::int64_t rows, size, taps_size;

  explicit Chunks(const ConvShape& shape)
      : rows(shape.batch * shape.out_h),
        taps_size(std::int64_t{shape.window.kernel_h} * shape.window.kernel_w * shape.in_c) {
    const std::int64_t row_size = std::max<std::int64_t>(shape.out_w * shape.in_c, 1);
    size = std::max((rows + 63) / 64, std::max(65536 / row_size, 8 * taps_size / row_size) + 1);
  }
  std::int64_t count() const { return (rows + size - 1) / size; }
};

bool supports(const DepthwiseBackwardFilter& args) { return is_plain_depthwise(args.type, args.shape); }

struct FilterScratch {
  FilterScratch(const DepthwiseBackwardFilter& args, const Chunks& chunks, int threads, void* memory) {
    Scratch scratch(memory);
    sums = scratch.take<float>(chunks.count() * chunks.taps_size);
    ring_size = ImageRows::ring_size(args.shape, args.prologue);
    rings = scratch.take<float>(threads * ring_size);
    bytes = scratch.bytes();
  }
  float* sums;
  float* rings;
  std::int64_t ring_size;
  std::size_t bytes;
};

std::size_t workspace_bytes(const DepthwiseBackwardFilter& args, const Stream& stream) {
  return FilterScratch(args, Chunks(args.shape), pool_of(stream).threads(), nullptr).bytes;
}

Status backward_filter(const DepthwiseBackwardFilter& args, const Launch& launch) {
  auto& pool = pool_of(*launch.stream);
  const Chunks chunks(args.shape);
  const FilterScratch scratch(args, chunks, pool.threads(), launch.workspace);
  const auto sum = HWY_DYNAMIC_DISPATCH(sum_rows);
  pool.run(chunks.count(), [&](std::int64_t chunk, int worker) {
    float* own = scratch.sums + chunk * chunks.taps_size;
    std::fill_n(own, chunks.taps_size, 0.0f);
    sum(args, chunk * chunks.size, std::min((chunk + 1) * chunks.size, chunks.rows), own,
        scratch.rings + worker * scratch.ring_size);
  });

  auto* dw = static_cast<float*>(args.dw);
  constexpr std::int64_t kPart = 1024;
  run_pieces(pool, chunks.taps_size, kPart, [&](std::int64_t begin, std::int64_t end) {
    double total[kPart] = {};
    for (std::int64_t chunk = 0; chunk < chunks.count(); ++chunk) {
      const float* own = scratch.sums + chunk * chunks.taps_size + begin;
      for (std::int64_t i = 0; i < end - begin; ++i) total[i] += own[i];
    }
    for (std::int64_t i = begin; i < end; ++i) dw[i] = static_cast<float>(total[i - begin]);
  });
  return nullptr;
}

}  // namespace

Kernel<DepthwiseBackwardFilter> depthwise_backward_filter_kernel() {
  return {"depthwise_backward_filter_f32", supports, workspace_bytes, backward_filter};
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
