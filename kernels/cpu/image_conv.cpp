// Convolutions over images of few channels, which are pixels or numbers: the few rows under a band of outputs
// become numbers with zeros around the image, and the taps of a row of the window lie side by side in them.
// Factors that are to be rounded to bfloat16 become pairs where the matrix unit multiplies them, and stay
// numbers elsewhere.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/image_conv.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/args/image.h"
#include "kernels/cpu/pixel_scale.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// To the nearest bfloat16, ties to even.
void round_numbers(float* numbers, std::int64_t count) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> words;
  const auto half = hn::Set(words, 0x7FFFu), one = hn::Set(words, 1u), mask = hn::Set(words, 0xFFFF0000u);
  for (std::int64_t i = 0; i < count; i += static_cast<std::int64_t>(kFloatLanes)) {
    const auto bits = hn::BitCast(words, hn::LoadU(d, numbers + i));
    const auto odd = hn::And(hn::ShiftRight<16>(bits), one);
    hn::StoreU(hn::BitCast(d, hn::And(hn::Add(bits, hn::Add(half, odd)), mask)), d, numbers + i);
  }
}

// Rows [begin, end) of one image, which may lie outside, to rows of `size` numbers and one more, which
// products of an odd depth may read. load(from, to, count) makes numbers of the image's.
template <class Load>
HWY_INLINE void load_rows(const ConvShape& s, std::int64_t image, std::int64_t begin, std::int64_t end,
                          float* to, std::int64_t size, const Load& load) {
  const std::int64_t left = s.window.pad_left * s.in_c, width = s.in_w * s.in_c;
  for (std::int64_t row = begin; row < end; ++row, to += size) {
    if (row < 0 || row >= s.in_h) {
      std::fill_n(to, size, 0.0f);
      continue;
    }
    std::fill_n(to, left, 0.0f);
    load((image * s.in_h + row) * width, to + left, width);
    std::fill(to + left + width, to + size, 0.0f);
  }
  *to = 0;
}

void load_pixels(const ImageConvForward& args, std::int64_t image, std::int64_t begin, std::int64_t end,
                 float* to, std::int64_t size) {
  const PixelScale scale(args.scale, args.offset, static_cast<int>(args.shape.in_c));
  load_rows(args.shape, image, begin, end, to, size,
            [&](std::int64_t from, float* row, std::int64_t count)
                HWY_ATTR { scale.apply(args.x + from, row, count); });
}

void load_numbers(const ConvForward& args, std::int64_t image, std::int64_t begin, std::int64_t end,
                  float* to, std::int64_t size) {
  load_rows(args.shape, image, begin, end, to, size, [&](std::int64_t from, float* row, std::int64_t count) {
    std::copy_n(static_cast<const float*>(args.x) + from, count, row);
  });
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <vector>

#include "kernels/args/half.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/families.h"
#include "kernels/cpu/product_panel.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(load_pixels);
HWY_EXPORT(load_numbers);
HWY_EXPORT(round_numbers);

auto row_loader(const ImageConvForward&) { return HWY_DYNAMIC_DISPATCH(load_pixels); }
auto row_loader(const ConvForward&) { return HWY_DYNAMIC_DISPATCH(load_numbers); }

constexpr std::int64_t kBandRows = 4;  // of output, in a task: their input stays in the first cache

template <class Args, Precision kRounding>
bool supports(const Args& args) {
  const ConvShape& s = args.shape;
  const Window& w = s.window;
  return args.type == DType::f32 && args.rounding == kRounding &&
         (kRounding == Precision::f32 || has_bfloat16()) && s.groups == 1 && s.in_c >= 1 &&
         s.in_c <= kMaxImageChannels && w.dilation_h == 1 && w.dilation_w == 1 && w.pad_top >= 0 &&
         w.pad_left >= 0;
}

// Whether the matrix unit multiplies rows of this many numbers, whose next begins `step` numbers further on.
template <class Args>
bool multiplies_pairs(const Args& args) {
  const ConvShape& s = args.shape;
  const std::int64_t numbers = s.window.kernel_w * s.in_c, step = s.window.stride_w * s.in_c;
  const ElementKind& pairs = kElement<BFloat16Pair>;
  return args.rounding == Precision::bf16 && step % pairs.values == 0 && pairs.tiled(numbers) &&
         numbers <= kTileColumns * pairs.values;
}

template <class Args>
struct ImageConv {
  ImageConv(const Args& args, bool prepared, int threads, void* memory)
      : paired(multiplies_pairs(args)),
        product(args.shape.out_c, args.shape.window.kernel_h,
                ceil_div(args.shape.window.kernel_w * args.shape.in_c, kind().values), kind(), paired) {
    const ConvShape& s = args.shape;
    const Window& w = s.window;
    const std::int64_t columns = std::max(w.pad_left + s.in_w, (s.out_w - 1) * w.stride_w + w.kernel_w);
    row_size = round_up(columns * s.in_c, kind().values);
    rows_size = round_up(((kBandRows - 1) * w.stride_h + w.kernel_h) * row_size + 1, 16);
    Scratch scratch(memory);
    weights = scratch.take<float>(prepared ? 0 : product.size());
    rows = scratch.take<float>(threads * rows_size);
    pairs = scratch.take<BFloat16Pair>(paired ? threads * rows_size / kind().values : 0);
    bytes = scratch.bytes();
  }

  ElementKind kind() const { return paired ? kElement<BFloat16Pair> : kElement<float>; }

  void pack(const Args& args, float* to) const {
    const std::int64_t numbers = args.shape.window.kernel_w * args.shape.in_c, columns = args.shape.out_c;
    const auto* w = static_cast<const float*>(args.w);
    if (args.rounding == Precision::f32) {
      return product.template pack<float>({w, args.epilogue.bias, product.slices * numbers, columns, {}}, to);
    }
    // A row of the window by itself, with a zero behind an odd number of taps.
    const std::int64_t depth = product.depth * kind().values;
    std::vector<float> rounded(static_cast<std::size_t>(product.slices * depth * columns));
    for (std::int64_t i = 0; i < product.slices * numbers * columns; ++i) {
      const std::int64_t row = i / columns, place = row / numbers * depth + row % numbers;
      rounded[static_cast<std::size_t>(place * columns + i % columns)] = to_float(to_bfloat16(w[i]));
    }
    const ProductWeights from(rounded.data(), args.epilogue.bias, product.slices * depth, columns, {});
    paired ? product.template pack<BFloat16Pair>(from, to) : product.template pack<float>(from, to);
  }

  const bool paired;
  const ProductColumns product;
  std::int64_t row_size, rows_size;  // in numbers
  float *weights, *rows;
  BFloat16Pair* pairs;
  std::size_t bytes;
};

template <class Args>
std::size_t workspace(const Args& args, const Stream& stream) {
  return ImageConv<Args>(args, false, pool_of(stream).threads(), nullptr).bytes;
}

template <class Args>
std::size_t prepared_workspace(const Args& args, const Stream& stream) {
  return ImageConv<Args>(args, true, pool_of(stream).threads(), nullptr).bytes;
}

template <class Args>
std::size_t prepared_size(const Args& args, const Stream&) {
  return static_cast<std::size_t>(ImageConv<Args>(args, true, 1, nullptr).product.size()) * sizeof(float);
}

template <class Args>
Status prepare(const Args& args, void* to, const Launch&) {
  ImageConv<Args>(args, true, 1, nullptr).pack(args, static_cast<float*>(to));
  return nullptr;
}

// Rows [first, last) of y of an image from the rows of elements under them.
template <class Element, class Args>
void multiply_rows(const Args& args, const ImageConv<Args>& conv, const float* weights, const Element* rows,
                   std::int64_t image, std::int64_t first, std::int64_t last) {
  const ConvShape& s = args.shape;
  const std::int64_t size = conv.row_size / conv.kind().values, row = s.out_w * s.out_c;
  const auto* residual = static_cast<const float*>(args.epilogue.residual);
  for (std::int64_t y = first; y < last; ++y, rows += s.window.stride_h * size) {
    const TileRows<Element> a{rows, s.window.stride_w * s.in_c / conv.kind().values, size,
                              conv.product.slices, conv.product.depth};
    const std::int64_t at = (image * s.out_h + y) * row;
    const PanelOutput out{static_cast<float*>(args.y) + at, residual == nullptr ? nullptr : residual + at,
                          s.out_c, s.out_c, args.epilogue.activation};
    for (std::int64_t panel = 0; panel < conv.product.vectors.count; ++panel) {
      conv.product.multiply(panel, weights, s.out_w, a, out, {});
    }
  }
}

template <class Args>
Status run(const Args& args, const Launch& launch) {
  ThreadPool& pool = pool_of(*launch.stream);
  const bool prepared = launch.prepared != nullptr;
  const ImageConv<Args> conv(args, prepared, pool.threads(), launch.workspace);
  if (!prepared) conv.pack(args, conv.weights);
  const float* weights = prepared ? static_cast<const float*>(launch.prepared) : conv.weights;
  const auto load = row_loader(args);
  const auto round = HWY_DYNAMIC_DISPATCH(round_numbers);
  const ConvShape& s = args.shape;
  const std::int64_t bands = ceil_div(s.out_h, kBandRows);
  pool.run(s.batch * bands, [&](std::int64_t task, int worker) {
    const TilesInUse tiles;
    const std::int64_t image = task / bands, first = task % bands * kBandRows;
    const std::int64_t last = std::min(s.out_h, first + kBandRows);
    const std::int64_t top = first * s.window.stride_h - s.window.pad_top;
    float* rows = conv.rows + worker * conv.rows_size;
    load(args, image, top, top + (last - 1 - first) * s.window.stride_h + s.window.kernel_h, rows,
         conv.row_size);
    if (conv.paired) {
      const std::int64_t size = conv.rows_size / conv.kind().values;
      BFloat16Pair* pairs = conv.pairs + worker * size;
      round_rows(rows, 1, conv.rows_size, {}, pairs, size, size);
      return multiply_rows(args, conv, weights, pairs, image, first, last);
    }
    if (args.rounding == Precision::bf16) round(rows, conv.rows_size);
    multiply_rows(args, conv, weights, rows, image, first, last);
  });
  return nullptr;
}

template <class Args, Precision kRounding>
Kernel<Args> kernel(const char* name) {
  return {name,
          supports<Args, kRounding>,
          workspace<Args>,
          run<Args>,
          {prepared_size<Args>, prepare<Args>, prepared_workspace<Args>}};
}

}  // namespace

void add_image_conv_kernels(KernelTable& table) {
  table.image_conv_forward.add(kernel<ImageConvForward, Precision::f32>("image_conv_f32"));
  table.image_conv_forward.add(kernel<ImageConvForward, Precision::bf16>("image_conv_bf16"));
  table.conv_forward.add(kernel<ConvForward, Precision::f32>("image_conv_f32"));
  table.conv_forward.add(kernel<ConvForward, Precision::bf16>("image_conv_bf16"));
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
