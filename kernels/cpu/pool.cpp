#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/pool.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/args/pool.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_lanes.h"

#ifndef PILA_KERNELS_CPU_POOL_TAPS_
#define PILA_KERNELS_CPU_POOL_TAPS_
namespace pila::kernels::cpu {

// The taps of a window along one axis that lie inside the image: [begin, end), tap 0 at `origin`.
struct PoolTaps {
  PoolTaps(std::int64_t out, std::int64_t in_size, int kernel, int stride, int step, int pad)
      : origin(out * stride - pad),
        begin(origin < 0 ? std::min<std::int64_t>(kernel, (-origin + step - 1) / step) : 0),
        end(std::clamp<std::int64_t>((in_size - origin + step - 1) / step, begin, kernel)) {}

  std::int64_t origin, begin, end;
};

inline PoolTaps rows_under(const ConvShape& shape, std::int64_t oh) {
  const Window& window = shape.window;
  return {oh, shape.in_h, window.kernel_h, window.stride_h, window.dilation_h, window.pad_top};
}
inline PoolTaps columns_under(const ConvShape& shape, std::int64_t ow) {
  const Window& window = shape.window;
  return {ow, shape.in_w, window.kernel_w, window.stride_w, window.dilation_w, window.pad_left};
}

}  // namespace pila::kernels::cpu
#endif  // PILA_KERNELS_CPU_POOL_TAPS_

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// Where a candidate takes the place of the largest value so far. NaN is larger than every number, and the
// first one stays.
HWY_INLINE hn::Mask<FloatTag> replaces(FloatVector candidate, FloatVector largest) {
  return hn::And(hn::Eq(largest, largest), hn::Not(hn::Le(candidate, largest)));
}

// Calls visit(offset of the pixel, number of the tap) for the taps inside the image, row by row.
template <class Visit>
HWY_INLINE void for_taps(const ConvShape& shape, const PoolTaps& rows, const PoolTaps& columns,
                         const Visit& visit) {
  const Window& window = shape.window;
  for (std::int64_t kh = rows.begin; kh < rows.end; ++kh) {
    const std::int64_t row = (rows.origin + kh * window.dilation_h) * shape.in_w;
    for (std::int64_t kw = columns.begin; kw < columns.end; ++kw) {
      const std::int64_t pixel = row + columns.origin + kw * window.dilation_w;
      visit(pixel * shape.in_c, static_cast<std::int32_t>(kh * window.kernel_w + kw));
    }
  }
}

// The largest values under a window; pointers are to the first of the channels.
template <class Lanes>
HWY_INLINE void pool_window(Lanes lanes, const ConvShape& shape, const PoolTaps& rows,
                            const PoolTaps& columns, const float* x, float* y) {
  auto largest = hn::Set(FloatTag(), -std::numeric_limits<float>::infinity());
  for_taps(shape, rows, columns, [&](std::int64_t offset, std::int32_t) HWY_ATTR {
    const auto candidate = lanes.load(x + offset);
    largest = hn::IfThenElse(replaces(candidate, largest), candidate, largest);
  });
  lanes.store(largest, y);
}

// Adds a window's gradients to those of its first largest values.
template <class Lanes>
HWY_INLINE void unpool_window(Lanes lanes, const ConvShape& shape, const PoolTaps& rows,
                              const PoolTaps& columns, const float* x, const float* dy, float* dx) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> ints;
  auto largest = hn::Set(d, -std::numeric_limits<float>::infinity());
  auto winner = hn::Set(ints, static_cast<std::int32_t>(rows.begin * shape.window.kernel_w + columns.begin));
  for_taps(shape, rows, columns, [&](std::int64_t offset, std::int32_t tap) HWY_ATTR {
    const auto candidate = lanes.load(x + offset);
    const auto better = replaces(candidate, largest);
    largest = hn::IfThenElse(better, candidate, largest);
    winner = hn::IfThenElse(hn::RebindMask(ints, better), hn::Set(ints, tap), winner);
  });
  const auto gradient = lanes.load(dy);
  for_taps(shape, rows, columns, [&](std::int64_t offset, std::int32_t tap) HWY_ATTR {
    const auto won = hn::RebindMask(d, hn::Eq(winner, hn::Set(ints, tap)));
    lanes.store(hn::Add(lanes.load(dx + offset), hn::IfThenElseZero(won, gradient)), dx + offset);
  });
}

// Output rows [begin, end), counted through the batch.
void max_pool_rows(const ConvShape& shape, const float* x, float* y, std::int64_t begin, std::int64_t end) {
  const auto channels = static_cast<std::size_t>(shape.in_c);
  for (std::int64_t row = begin; row < end; ++row) {
    const float* image = x + row / shape.out_h * shape.in_h * shape.in_w * shape.in_c;
    const PoolTaps rows = rows_under(shape, row % shape.out_h);
    for (std::int64_t ow = 0; ow < shape.out_w; ++ow) {
      const PoolTaps columns = columns_under(shape, ow);
      float* to = y + (row * shape.out_w + ow) * shape.in_c;
      std::size_t c = 0;
      for (; c + kFloatLanes <= channels; c += kFloatLanes) {
        pool_window(AllLanes(), shape, rows, columns, image + c, to + c);
      }
      if (c < channels) pool_window(FirstLanes{channels - c}, shape, rows, columns, image + c, to + c);
    }
  }
}

// Channels [0, channels) of one image; the pointers are to the first of them.
void max_pool_backward_channels(const ConvShape& shape, const float* x, const float* dy, float* dx,
                                std::size_t channels) {
  for (std::int64_t pixel = 0; pixel < shape.in_h * shape.in_w; ++pixel) {
    std::fill_n(dx + pixel * shape.in_c, channels, 0.0f);
  }
  for (std::int64_t oh = 0; oh < shape.out_h; ++oh) {
    const PoolTaps rows = rows_under(shape, oh);
    for (std::int64_t ow = 0; ow < shape.out_w; ++ow) {
      const PoolTaps columns = columns_under(shape, ow);
      const float* from = dy + (oh * shape.out_w + ow) * shape.in_c;
      std::size_t c = 0;
      for (; c + kFloatLanes <= channels; c += kFloatLanes) {
        unpool_window(AllLanes(), shape, rows, columns, x + c, from + c, dx + c);
      }
      if (c < channels) {
        unpool_window(FirstLanes{channels - c}, shape, rows, columns, x + c, from + c, dx + c);
      }
    }
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cstring>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(max_pool_rows);
HWY_EXPORT(max_pool_backward_channels);

// The rows of a padded image in bytes.
struct PaddedRows {
  PaddedRows(const Borders& borders, DType type)
      : height(borders.in_h),
        top(borders.top),
        padded_height(borders.top + borders.in_h + borders.bottom),
        left(bytes(borders, borders.left, type)),
        width(bytes(borders, borders.in_w, type)),
        right(bytes(borders, borders.right, type)) {}

  static std::size_t bytes(const Borders& borders, std::int64_t columns, DType type) {
    return static_cast<std::size_t>(columns * borders.channels) * size_of(type);
  }
  std::size_t padded_width() const { return left + width + right; }
  // Rows of a piece.
  std::int64_t in_piece() const {
    return std::max(std::int64_t{1}, kPiece * 4 / static_cast<std::int64_t>(std::max<std::size_t>(1, width)));
  }

  std::int64_t height, top, padded_height;
  std::size_t left, width, right;
};

Status run_pad(const Pad& args, const Launch& launch) {
  const PaddedRows rows(args.borders, args.type);
  if (rows.padded_width() == 0) return nullptr;
  const auto* x = static_cast<const unsigned char*>(args.x);
  auto* y = static_cast<unsigned char*>(args.y);
  run_pieces(pool_of(*launch.stream), args.borders.batch * rows.padded_height, rows.in_piece(),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end; ++row) {
                 const std::int64_t image = row / rows.padded_height;
                 const std::int64_t h = row % rows.padded_height - rows.top;
                 unsigned char* to = y + static_cast<std::size_t>(row) * rows.padded_width();
                 if (h < 0 || h >= rows.height || rows.width == 0) {
                   std::memset(to, 0, rows.padded_width());
                   continue;
                 }
                 const auto from = static_cast<std::size_t>(image * rows.height + h) * rows.width;
                 std::memset(to, 0, rows.left);
                 std::memcpy(to + rows.left, x + from, rows.width);
                 std::memset(to + rows.left + rows.width, 0, rows.right);
               }
             });
  return nullptr;
}

Status run_crop(const Crop& args, const Launch& launch) {
  const PaddedRows rows(args.borders, args.type);
  if (rows.width == 0) return nullptr;
  const auto* x = static_cast<const unsigned char*>(args.x);
  auto* y = static_cast<unsigned char*>(args.y);
  run_pieces(pool_of(*launch.stream), args.borders.batch * rows.height, rows.in_piece(),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end; ++row) {
                 const std::int64_t image = row / rows.height, h = row % rows.height;
                 const auto from = static_cast<std::size_t>(image * rows.padded_height + rows.top + h);
                 std::memcpy(y + static_cast<std::size_t>(row) * rows.width,
                             x + from * rows.padded_width() + rows.left, rows.width);
               }
             });
  return nullptr;
}

Status run_max_pool(const MaxPoolForward& args, const Launch& launch) {
  const ConvShape& shape = args.shape;
  const auto* x = static_cast<const float*>(args.x);
  auto* y = static_cast<float*>(args.y);
  const std::int64_t taps = std::int64_t{shape.window.kernel_h} * shape.window.kernel_w;
  const std::int64_t row = std::max(std::int64_t{1}, shape.out_w * shape.in_c * taps);
  const auto function = HWY_DYNAMIC_DISPATCH(max_pool_rows);
  run_pieces(pool_of(*launch.stream), shape.batch * shape.out_h, std::max(std::int64_t{1}, kPiece / row),
             [&](std::int64_t begin, std::int64_t end) { function(shape, x, y, begin, end); });
  return nullptr;
}

// Windows overlap, so that a thread gets whole images, and some of the channels.
Status run_max_pool_backward(const MaxPoolBackward& args, const Launch& launch) {
  constexpr std::int64_t block = 64;
  const ConvShape& shape = args.shape;
  const std::int64_t blocks = pieces_of(shape.in_c, block);
  const auto function = HWY_DYNAMIC_DISPATCH(max_pool_backward_channels);
  run_pieces(pool_of(*launch.stream), shape.batch * blocks, 1, [&](std::int64_t task, std::int64_t) {
    const std::int64_t image = task / blocks, channel = task % blocks * block;
    const std::int64_t in = image * shape.in_h * shape.in_w * shape.in_c + channel;
    const std::int64_t out = image * shape.out_h * shape.out_w * shape.in_c + channel;
    function(shape, static_cast<const float*>(args.x) + in, static_cast<const float*>(args.dy) + out,
             static_cast<float*>(args.dx) + in,
             static_cast<std::size_t>(std::min(block, shape.in_c - channel)));
  });
  return nullptr;
}

}  // namespace

void add_pool_kernels(KernelTable& table) {
  table.pad.add({"pad", [](const Pad&) { return true; }, nullptr, run_pad});
  table.crop.add({"crop", [](const Crop&) { return true; }, nullptr, run_crop});
  table.max_pool_forward.add({"max_pool_f32",
                              [](const MaxPoolForward& args) { return args.type == DType::f32; }, nullptr,
                              run_max_pool});
  table.max_pool_backward.add({"max_pool_backward_f32",
                               [](const MaxPoolBackward& args) { return args.type == DType::f32; }, nullptr,
                               run_max_pool_backward});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
