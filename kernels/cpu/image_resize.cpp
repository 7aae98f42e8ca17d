#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/image_resize.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/args/image.h"
#include "kernels/cpu/simd.h"

#ifndef PILA_KERNELS_CPU_RESIZE_TAP_
#define PILA_KERNELS_CPU_RESIZE_TAP_
namespace pila::kernels::cpu {

// The two neighbours that an output coordinate lies between: low + (high - low) * weight.
struct ResizeTap {
  std::int32_t low, high;
  float weight;
};

}  // namespace pila::kernels::cpu
#endif  // PILA_KERNELS_CPU_RESIZE_TAP_

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

using PixelTag = hn::FixedTag<float, 4>;
constexpr int kPixelLanes = 4;

HWY_INLINE hn::Vec<PixelTag> load_pixel(const float* from) { return hn::LoadU(PixelTag(), from); }
HWY_INLINE hn::Vec<PixelTag> load_pixel(const std::uint8_t* from) {
  const hn::RebindToSigned<PixelTag> ints;
  const hn::Rebind<std::uint8_t, PixelTag> bytes;
  return hn::ConvertTo(PixelTag(), hn::PromoteTo(ints, hn::LoadU(bytes, from)));
}

// One row stretched to `width` pixels; the taps are of pixels. With 3 and 4 channels a pixel is one vector:
// the fourth lane reads into the next pixel, and what it stores there is overwritten, or lies behind the row,
// where y has room. Pixels without a successor in the row are done one number at a time.
template <class T>
HWY_INLINE void stretch(const T* x, const ResizeTap* taps, std::int64_t in_width, std::int64_t width,
                        int channels, float* y) {
  std::int64_t done = 0;
  if (channels == 3 || channels == 4) {
    const PixelTag d;
    const std::int64_t last = in_width * channels - kPixelLanes;
    for (; done < width; ++done) {
      const ResizeTap& tap = taps[done];
      const std::int64_t low = std::int64_t{tap.low} * channels, high = std::int64_t{tap.high} * channels;
      if (high > last) break;
      const auto left = load_pixel(x + low), right = load_pixel(x + high);
      const auto value = hn::MulAdd(hn::Sub(right, left), hn::Set(d, tap.weight), left);
      hn::StoreU(value, d, y + done * channels);
    }
  }
  for (; done < width; ++done) {
    const ResizeTap& tap = taps[done];
    const T* low = x + std::int64_t{tap.low} * channels;
    const T* high = x + std::int64_t{tap.high} * channels;
    for (int c = 0; c < channels; ++c) {
      const auto left = static_cast<float>(low[c]), right = static_cast<float>(high[c]);
      y[done * channels + c] = left + (right - left) * tap.weight;
    }
  }
}

void stretch_floats(const void* x, const ResizeTap* taps, std::int64_t in_width, std::int64_t width,
                    int channels, float* y) {
  stretch(static_cast<const float*>(x), taps, in_width, width, channels, y);
}

void stretch_bytes(const void* x, const ResizeTap* taps, std::int64_t in_width, std::int64_t width,
                   int channels, float* y) {
  stretch(static_cast<const std::uint8_t*>(x), taps, in_width, width, channels, y);
}

// y = low + (high - low) * weight.
void blend_rows(const float* low, const float* high, float weight, float* y, std::size_t count) {
  const FloatTag d;
  const auto weights = hn::Set(d, weight);
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    const auto from = hn::LoadU(d, low + i);
    hn::StoreU(hn::MulAdd(hn::Sub(hn::LoadU(d, high + i), from), weights, from), d, y + i);
  }
  if (i < count) {
    const std::size_t rest = count - i;
    const auto from = load_partial(d, low + i, rest);
    const auto step = hn::Sub(load_partial(d, high + i, rest), from);
    store_partial(hn::MulAdd(step, weights, from), d, y + i, rest);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <limits>
#include <utility>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(stretch_floats);
HWY_EXPORT(stretch_bytes);
HWY_EXPORT(blend_rows);

using Stretch = void (*)(const void* x, const ResizeTap* taps, std::int64_t in_width, std::int64_t width,
                         int channels, float* y);

ResizeTap tap_of(std::int64_t index, std::int64_t in_size, std::int64_t out_size) {
  const double ratio = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double at = (static_cast<double>(index) + 0.5) * ratio - 0.5;
  const double low = std::floor(at);
  const auto bounded = [&](double place) {
    return static_cast<std::int32_t>(std::clamp(place, 0.0, static_cast<double>(in_size - 1)));
  };
  return {bounded(low), bounded(low + 1), static_cast<float>(at - low)};
}

// The workspace: the columns' taps, then for each worker two stretched rows.
struct Layout {
  Layout(const ResizeBilinear& args, const Stream& stream)
      : taps_bytes(aligned(static_cast<std::size_t>(args.out_w) * sizeof(ResizeTap))),
        row_bytes(aligned(static_cast<std::size_t>(args.out_w * args.channels + 1) * sizeof(float))),
        total(taps_bytes + 2 * row_bytes * static_cast<std::size_t>(pool_of(stream).threads())) {}

  static std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

  std::size_t taps_bytes, row_bytes, total;
};

// The two stretched rows that a worker has at hand, and which rows of the input they are.
class RowPair {
 public:
  RowPair(float* first, float* second) : rows_{first, second} {}

  // Makes rows low and high of an image available; compute(row, y) stretches one.
  template <class Compute>
  void need(std::int64_t low, std::int64_t high, const Compute& compute) {
    if (held_[0] != low) {
      if (held_[1] == low) {
        std::swap(rows_[0], rows_[1]);
        std::swap(held_[0], held_[1]);
      } else {
        compute(held_[0] = low, rows_[0]);
      }
    }
    if (held_[1] != high && low != high) compute(held_[1] = high, rows_[1]);
  }
  const float* low() const { return rows_[0]; }
  const float* high(bool same) const { return rows_[same ? 0 : 1]; }

 private:
  float* rows_[2];
  std::int64_t held_[2] = {-1, -1};
};

bool supports(const ResizeBilinear& args) {
  constexpr std::int64_t largest = std::numeric_limits<std::int32_t>::max();
  return (args.from == DType::u8 || args.from == DType::f32) && args.to == DType::f32 && args.in_h > 0 &&
         args.in_w > 0 && args.in_h <= largest && args.in_w <= largest;
}

std::size_t workspace(const ResizeBilinear& args, const Stream& stream) { return Layout(args, stream).total; }

Status run(const ResizeBilinear& args, const Launch& launch) {
  const std::int64_t out_row = args.out_w * args.channels, in_row = args.in_w * args.channels;
  if (args.batch * args.out_h * out_row == 0) return nullptr;
  const Layout layout(args, *launch.stream);
  auto* scratch = static_cast<unsigned char*>(launch.workspace);
  auto* taps = reinterpret_cast<ResizeTap*>(scratch);
  for (std::int64_t ox = 0; ox < args.out_w; ++ox) taps[ox] = tap_of(ox, args.in_w, args.out_w);

  const auto stretch_row = args.from == DType::u8
                               ? static_cast<Stretch>(HWY_DYNAMIC_DISPATCH(stretch_bytes))
                               : static_cast<Stretch>(HWY_DYNAMIC_DISPATCH(stretch_floats));
  const auto blend = HWY_DYNAMIC_DISPATCH(blend_rows);
  const auto* x = static_cast<const unsigned char*>(args.x);
  auto* y = static_cast<float*>(args.y);
  const auto in_row_bytes = in_row * static_cast<std::int64_t>(size_of(args.from));

  const std::int64_t rows = std::max(std::int64_t{1}, kPiece / out_row);  // of one task
  const std::int64_t tasks = pieces_of(args.out_h, rows);                 // of one image
  pool_of(*launch.stream).run(args.batch * tasks, [&](std::int64_t task, int worker) {
    const std::int64_t image = task / tasks, first = task % tasks * rows;
    auto* own = scratch + layout.taps_bytes + 2 * layout.row_bytes * static_cast<std::size_t>(worker);
    RowPair pair(reinterpret_cast<float*>(own), reinterpret_cast<float*>(own + layout.row_bytes));
    const unsigned char* from = x + image * args.in_h * in_row_bytes;
    for (std::int64_t oy = first; oy < std::min(first + rows, args.out_h); ++oy) {
      const ResizeTap tap = tap_of(oy, args.in_h, args.out_h);
      pair.need(tap.low, tap.high, [&](std::int64_t row, float* to) {
        stretch_row(from + row * in_row_bytes, taps, args.in_w, args.out_w, args.channels, to);
      });
      blend(pair.low(), pair.high(tap.low == tap.high), tap.weight, y + (image * args.out_h + oy) * out_row,
            static_cast<std::size_t>(out_row));
    }
  });
  return nullptr;
}

}  // namespace

void add_resize_kernels(KernelTable& table) {
  table.resize_bilinear.add({"resize_bilinear_f32", supports, workspace, run});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
