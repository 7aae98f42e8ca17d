#include "kernels/cpu/product_panel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/product_panel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/bounds.h"
#include "kernels/cpu/product_tile.h"
#include "kernels/cpu/simd_activation.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);

// An activation with an exponential takes a second look at y: it would bloat every tile.
HWY_NOINLINE void finish_smoothly(const PanelOutput& out, std::int64_t rows) {
  const FloatTag d;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < out.columns; c += kLanes) {
      const std::int64_t at = r * out.row + c;
      const auto count = static_cast<std::size_t>(HWY_MIN(kLanes, out.columns - c));
      auto v = activate(d, out.activation, load_partial(d, out.y + at, count));
      if (out.residual != nullptr) v = hn::Add(v, load_partial(d, out.residual + at, count));
      store_partial(v, d, out.y + at, count);
    }
  }
}

// k in blocks whose part of the panel stays in the first cache for all rows.
template <class Element>
struct DepthBlocks {
  DepthBlocks(const TileRows<Element>& all, int vectors)
      : a(all), split(a.slices > 1 ? a.slices : a.depth, most(a.slices > 1 ? a.depth : 1, vectors)) {}

  std::int64_t count() const { return HWY_MAX(split.count, 1); }
  std::int64_t begin(std::int64_t block) const { return split.begin(block) * (a.slices > 1 ? a.depth : 1); }

  // The block's part of the rows from `row` on.
  TileRows<Element> rows(std::int64_t block, std::int64_t row) const {
    const Element* from = a.data + row * a.row;
    const std::int64_t first = split.begin(block), size = split.size(block);
    if (a.slices > 1) return {from + first * a.slice, a.row, a.slice, size, a.depth};
    return {from + first, a.row, a.slice, 1, size};
  }

  const TileRows<Element> a;
  const Split split;

 private:
  static std::int64_t most(std::int64_t unit, int vectors) {
    constexpr std::int64_t kSize = 7680;  // 30 KiB
    return HWY_MAX(kSize / (unit * vectors * kLanes), 1);
  }
};

// How a panel's columns lie in y, the last vector of which may be short.
template <int kVectors>
struct PanelColumns {
  explicit PanelColumns(std::int64_t columns)
      : tail(static_cast<std::size_t>(columns - (kVectors - 1) * kLanes)) {}
  bool whole(int v) const { return v < kVectors - 1 || tail == kFloatLanes; }
  HWY_INLINE FloatVector load(const float* from, int v) const {
    return whole(v) ? hn::LoadU(FloatTag(), from) : load_partial(FloatTag(), from, tail);
  }
  HWY_INLINE void store(FloatVector sum, float* to, int v) const {
    whole(v) ? hn::StoreU(sum, FloatTag(), to) : store_partial(sum, FloatTag(), to, tail);
  }

  const std::size_t tail;
};

template <class Step>
using RowsOf = TileRows<typename Step::Element>;
template <class Step>
using PanelOf = TilePanel<typename Step::Element>;

template <class Step, int kVectors, int kRowStep>
void multiply_rows(std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
                   const PanelOutput& out, const Ahead& ahead) {
  const PanelColumns<kVectors> columns(out.columns);
  const Bounds bounds(out.activation);
  const bool clamps = out.activation != Activation::none && !bounds.smooth;
  const auto low = hn::Set(FloatTag(), bounds.low), high = hn::Set(FloatTag(), bounds.high);
  const DepthBlocks blocks(a, kVectors);
  const PanelHead<Step, kVectors> head(panel.head);
  for (std::int64_t block = 0; block < blocks.count(); ++block) {
    const auto* b = panel.b + blocks.begin(block) * kVectors * kLanes;
    const Ahead wanted = ahead.share(block, 1, blocks.count());
    const bool last = block + 1 == blocks.count();
    for_tiles<kVectors>(rows, [&](auto height, std::int64_t first) {
      constexpr int kRows = height;
      float* const y = out.y + first * out.row;
      const auto start = [&](int r, int v) {
        return block > 0 ? Step::kept(columns.load(y + r * out.row + v * kLanes, v)) : head(r, v);
      };
      const auto finish = [&](int r, int v, typename Step::Sum sum) {
        const std::ptrdiff_t at = r * out.row + v * kLanes;
        if (!last) return columns.store(Step::keep(sum), y + at, v);
        auto number = head.number(sum, v);
        if (clamps) number = clamp(low, high, number);
        if (out.residual != nullptr && !bounds.smooth) {
          number = hn::Add(number, columns.load(out.residual + first * out.row + at, v));
        }
        columns.store(number, y + at, v);
      };
      product_tile<Step, kRows, kVectors, kRowStep>(blocks.rows(block, first), b,
                                                    wanted.share(first, kRows, rows), start, finish);
    });
  }
  if (bounds.smooth) finish_smoothly(out, rows);
}

// The same for a folded panel: two sums of a column stand side by side.
template <class Step, int kVectors, int kRowStep>
void multiply_folded_rows(std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
                          const PanelOutput& out, const Ahead& ahead) {
  constexpr int kOutVectors = (kVectors + 1) / 2;
  const FloatTag d;
  const hn::DFromV<typename Step::Sum> tag;
  const PanelColumns<kOutVectors> columns(out.columns);
  const Bounds bounds(out.activation);
  const auto low = hn::Set(d, bounds.low), high = hn::Set(d, bounds.high);
  const PanelHead<Step, kVectors> head(panel.head);
  for_tiles<kVectors>(rows, [&](auto height, std::int64_t first) {
    constexpr int kRows = height;
    auto from = a;
    from.data += first * a.row;
    auto left = hn::Zero(tag);
    product_tile<Folded<Step>, kRows, kVectors, kRowStep>(
        from, panel.b, ahead.share(first, kRows, rows), head, [&](int r, int v, typename Step::Sum right) {
          if (v % 2 == 0) {
            left = right;
            if (v + 1 < kVectors) return;
            right = hn::Zero(tag);
          }
          const auto sum = hn::Add(hn::ConcatEven(tag, right, left), hn::ConcatOdd(tag, right, left));
          auto number = clamp(low, high, head.number(sum, v / 2));
          const std::ptrdiff_t at = (first + r) * out.row + v / 2 * kLanes;
          if (out.residual != nullptr && !bounds.smooth) {
            number = hn::Add(number, columns.load(out.residual + at, v / 2));
          }
          columns.store(number, out.y + at, v / 2);
        });
  });
  if (bounds.smooth) finish_smoothly(out, rows);
}

template <class Step, int kRowStep>
void multiply_folded(int vectors, std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
                     const PanelOutput& out, const Ahead& ahead) {
  with_constant<kMaxVectors>(vectors, [&](auto constant) {
    multiply_folded_rows<Step, constant, kRowStep>(rows, a, panel, out, ahead);
  });
}

template <class Step, int kRowStep>
void multiply(int vectors, std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
              const PanelOutput& out, const Ahead& ahead) {
  with_constant<kMaxVectors>(
      vectors, [&](auto constant) { multiply_rows<Step, constant, kRowStep>(rows, a, panel, out, ahead); });
}

template <class Step, int kVectors>
void pool_rows(std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel, Activation activation,
               std::int64_t columns, float* y, const Ahead& ahead) {
  constexpr std::int64_t kGroup = 56;  // rows whose sums wait for the next block of k
  constexpr std::int64_t kWidth = kVectors * kLanes;
  const FloatTag d;
  const Bounds bounds(activation);
  const auto low = hn::Set(d, bounds.low), high = hn::Set(d, bounds.high);
  const DepthBlocks blocks(a, kVectors);
  const PanelHead<Step, kVectors> head(panel.head);
  HWY_ALIGN float sums[kGroup * kWidth];
  FloatVector totals[kVectors];
  for (int v = 0; v < kVectors; ++v) totals[v] = hn::Zero(d);
  for (std::int64_t group = 0; group < rows; group += kGroup) {
    const std::int64_t size = HWY_MIN(kGroup, rows - group);
    for (std::int64_t block = 0; block < blocks.count(); ++block) {
      const auto* b = panel.b + blocks.begin(block) * kWidth;
      const Ahead wanted = ahead.share(group, size, rows).share(block, 1, blocks.count());
      for_tiles<kVectors>(size, [&](auto height, std::int64_t first) {
        constexpr int kRows = height;
        float* const at = sums + first * kWidth;
        product_tile<Step, kRows, kVectors, 0>(
            blocks.rows(block, group + first), b, wanted.share(first, kRows, size),
            [&](int r, int v) {
              return block > 0 ? Step::kept(hn::LoadU(d, at + r * kWidth + v * kLanes)) : head(r, v);
            },
            [&](int r, int v, typename Step::Sum sum) {
              hn::StoreU(Step::keep(sum), d, at + r * kWidth + v * kLanes);
            });
      });
    }
    for (std::int64_t r = 0; r < size; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        const auto sum = head.number(Step::kept(hn::LoadU(d, sums + r * kWidth + v * kLanes)), v);
        totals[v] = hn::Add(totals[v], bounds.smooth ? activate(d, activation, sum) : clamp(low, high, sum));
      }
    }
  }
  for (std::int64_t v = 0; v < kVectors; ++v) {
    const auto count = static_cast<std::size_t>(HWY_MIN(kLanes, columns - v * kLanes));
    store_partial(hn::Div(totals[v], hn::Set(d, static_cast<float>(rows))), d, y + v * kLanes, count);
  }
}

template <class Step>
void pool(int vectors, std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
          Activation activation, std::int64_t columns, float* y, const Ahead& ahead) {
  with_constant<kMaxVectors>(vectors, [&](auto constant) {
    pool_rows<Step, constant>(rows, a, panel, activation, columns, y, ahead);
  });
}

template <class Step>
PanelKernels<typename Step::Element> make_panel_kernels() {
  constexpr int kPlane = kLanes / kElement<typename Step::Element>.values;
  return {multiply<Step, 0>, multiply<Step, kPlane>, multiply_folded<Step, 0>, multiply_folded<Step, kPlane>,
          pool<Step>};
}

PanelSizes get_panel_sizes() { return {static_cast<int>(kLanes), kMaxVectors}; }

PanelKernels<Int8Quad> int8_panel_kernels() {
  return with_int8_step(has_dot_products(), [](auto step) { return make_panel_kernels<decltype(step)>(); });
}

PanelKernels<float> float_panel_kernels() { return make_panel_kernels<FloatStep>(); }

PanelKernels<BFloat16Pair> bfloat16_panel_kernels() {
#if PILA_BFLOAT16
  return make_panel_kernels<BFloat16Step>();
#else
  return {};
#endif
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels/cpu/gemm_tile.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(get_panel_sizes);
HWY_EXPORT(float_panel_kernels);
HWY_EXPORT(bfloat16_panel_kernels);
HWY_EXPORT(int8_panel_kernels);

// Columns [column, column + width) of a matrix as rows of elements, with zeros beyond it.
template <class Element>
class ColumnElements {
 public:
  ColumnElements(const ProductWeights& weights, std::int64_t column, std::int64_t width)
      : weights_(weights), column_(column) {
    if constexpr (std::is_same_v<Element, Int8Quad>) {
      for (std::int64_t c = 0; c < width; ++c) {
        float largest = 0;
        for (std::int64_t row = 0; row < weights.rows; ++row) {
          largest = std::max(largest, std::abs(value(row, c)));
        }
        scales_.push_back(weight_scale(largest));
      }
    }
  }

  Element at(std::int64_t row, std::int64_t c) const {
    if constexpr (std::is_same_v<Element, Int8Quad>) {
      Int8Quad quad{0};
      for (std::int64_t i = 0; i < 4; ++i) {
        quad.bits |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(rounded(4 * row + i, c))) << 8 * i;
      }
      return quad;
    } else if constexpr (std::is_same_v<Element, BFloat16Pair>) {
      return bfloat16_pair(value(2 * row, c), value(2 * row + 1, c));
    } else {
      return value(row, c);
    }
  }

  // The sum of a column is scale(c) * (the sum of products of integers) + offset(c).
  float scale(std::int64_t c) const { return weights_.a.scale * scales_[static_cast<std::size_t>(c)]; }
  float offset(std::int64_t c) const {
    std::int64_t sum = 0;
    for (std::int64_t row = 0; row < weights_.rows; ++row) sum += rounded(row, c);
    const double zeros = static_cast<double>(scale(c)) * static_cast<double>(sum) * weights_.a.zero;
    return static_cast<float>(bias(c) - zeros);
  }

  float bias(std::int64_t c) const {
    return weights_.bias == nullptr || column_ + c >= weights_.columns ? 0.0f : weights_.bias[column_ + c];
  }

 private:
  float value(std::int64_t row, std::int64_t c) const {
    return row < weights_.rows && column_ + c < weights_.columns
               ? weights_.w[row * weights_.columns + column_ + c]
               : 0.0f;
  }
  std::int8_t rounded(std::int64_t row, std::int64_t c) const {
    return quantize_weight(value(row, c), scales_[static_cast<std::size_t>(c)]);
  }

  const ProductWeights& weights_;
  const std::int64_t column_;
  std::vector<float> scales_;
};

// Pairs of rows of b, each slice's by itself: zeros where there is no second one.
template <class Element>
void pack_folded(const ProductWeights& weights, const ProductColumns& product, float* to) {
  const std::int64_t width = product.vectors.total * product.lanes / 2;
  const ColumnElements<Element> b(weights, 0, width);
  if constexpr (std::is_same_v<Element, Int8Quad>) {
    std::fill_n(to, 4 * width, 0.0f);  // two sums of a column are added as integers
    for (std::int64_t c = 0; c < width; ++c) {
      to[c] = b.offset(c);
      to[2 * width + c] = b.scale(c);
    }
    to += 4 * width;
  } else {
    for (std::int64_t c = 0; c < width; ++c) {
      *to++ = b.bias(c);
      *to++ = 0;
    }
  }
  auto* element = reinterpret_cast<Element*>(to);
  for (std::int64_t slice = 0; slice < product.slices; ++slice) {
    const std::int64_t first = slice * product.depth;
    for (std::int64_t p = 0; p < product.depth; p += 2) {
      for (std::int64_t c = 0; c < width; ++c) {
        *element++ = b.at(first + p, c);
        *element++ = p + 1 < product.depth ? b.at(first + p + 1, c) : Element();
      }
    }
  }
}

}  // namespace

PanelSizes panel_sizes() {
  static const PanelSizes sizes = HWY_DYNAMIC_DISPATCH(get_panel_sizes)();
  return sizes;
}

template <>
const PanelKernels<float>& panel_kernels<float>() {
  static const PanelKernels<float> kernels = HWY_DYNAMIC_DISPATCH(float_panel_kernels)();
  return kernels;
}

template <>
const PanelKernels<BFloat16Pair>& panel_kernels<BFloat16Pair>() {
  static const PanelKernels<BFloat16Pair> kernels = HWY_DYNAMIC_DISPATCH(bfloat16_panel_kernels)();
  return kernels;
}

template <>
const PanelKernels<Int8Quad>& panel_kernels<Int8Quad>() {
  static const PanelKernels<Int8Quad> kernels = HWY_DYNAMIC_DISPATCH(int8_panel_kernels)();
  return kernels;
}

template <class Element>
float* pack_panel(const ProductWeights& weights, std::int64_t depth, std::int64_t column, std::int64_t width,
                  float* to) {
  const ColumnElements<Element> b(weights, column, width);
  for (std::int64_t c = 0; c < width; ++c) {
    if constexpr (std::is_same_v<Element, Int8Quad>) {
      to[c] = b.offset(c);
      to[width + c] = b.scale(c);
    } else {
      to[c] = b.bias(c);
    }
  }
  to += kElement<Element>.head_rows * width;
  float* const end = to + depth * width;
  if constexpr (std::is_same_v<Element, float>) {
    const auto real = static_cast<int>(std::min(width, weights.columns - column));
    tile_kernels().pack(weights.w + column, weights.columns, weights.rows, real, static_cast<int>(width), to,
                        width);
    std::fill(to + weights.rows * width, end, 0.0f);
  } else {
    auto* element = reinterpret_cast<Element*>(to);
    for (std::int64_t row = 0; row < depth; ++row) {
      for (std::int64_t c = 0; c < width; ++c) *element++ = b.at(row, c);
    }
  }
  return end;
}

ProductColumns::ProductColumns(std::int64_t columns_of_b, std::int64_t slices_of_k,
                               std::int64_t depth_of_slice, ElementKind kind_of_elements)
    : columns(columns_of_b),
      slices(slices_of_k),
      depth(depth_of_slice),
      lanes(panel_sizes().lanes),
      kind(kind_of_elements),
      folded(2 * columns <= panel_sizes().most_vectors * lanes),
      vectors(folded ? ceil_div(2 * columns, lanes) : ceil_div(columns, lanes), panel_sizes().most_vectors) {}

template <class Element>
void ProductColumns::pack(const ProductWeights& from, float* to) const {
  if (folded) return pack_folded<Element>(from, *this, to);
  for (std::int64_t panel = 0; panel < vectors.count; ++panel) {
    to = pack_panel<Element>(from, slices * depth, vectors.begin(panel) * lanes, vectors.size(panel) * lanes,
                             to);
  }
}

template <class Element>
void ProductColumns::multiply(std::int64_t panel, const float* weights, std::int64_t rows,
                              const TileRows<Element>& a, PanelOutput out, const Ahead& ahead) const {
  const PanelKernels<Element>& kernels = panel_kernels<Element>();
  const std::int64_t width = vectors.size(panel) * lanes;
  const bool planes = a.row == lanes / kElement<Element>.values;
  const auto kernel = folded ? (planes ? kernels.multiply_folded_planes : kernels.multiply_folded)
                             : (planes ? kernels.multiply_planes : kernels.multiply);
  if (!folded) {
    const std::int64_t column = vectors.begin(panel) * lanes;
    out.y += column;
    if (out.residual != nullptr) out.residual += column;
    out.columns = std::min(width, columns - column);
  }
  kernel(static_cast<int>(vectors.size(panel)), rows, a, {weights + at(panel), width}, out, ahead);
}

#define PILA_INSTANTIATE(Element)                                                                            \
  template float* pack_panel<Element>(const ProductWeights&, std::int64_t, std::int64_t, std::int64_t, float*); \
  template void ProductColumns::pack<Element>(const ProductWeights&, float*) const;                          \
  template void ProductColumns::multiply<Element>(std::int64_t, const float*, std::int64_t,                  \
                                                  const TileRows<Element>&, PanelOutput, const Ahead&) const
PILA_INSTANTIATE(float);
PILA_INSTANTIATE(BFloat16Pair);
PILA_INSTANTIATE(Int8Quad);
#undef PILA_INSTANTIATE

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
