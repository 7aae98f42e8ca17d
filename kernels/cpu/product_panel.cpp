#include "kernels/cpu/product_panel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/product_panel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/product_tile.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

PanelSizes get_panel_sizes() { return {static_cast<int>(kFloatLanes), kMaxVectors, kPoolVectors}; }

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

// Columns [column, column + width) of a matrix as rows of elements, with zeros beyond it.
template <class Element>
class ColumnElements {
 public:
  ColumnElements(const ProductWeights& weights, std::int64_t column, std::int64_t width)
      : weights_(weights), column_(column) {
    if constexpr (kIsInteger<Element>) {
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
    } else if constexpr (std::is_same_v<Element, Int8Pair>) {
      const auto half = [&](std::int64_t i) { return static_cast<std::uint16_t>(rounded(2 * row + i, c)); };
      return {half(0) | static_cast<std::uint32_t>(half(1)) << 16};
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
    const double zeros =
        static_cast<double>(scale(c)) * static_cast<double>(sum) * (weights_.a.zero - kQuadShift);
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
  if constexpr (kIsInteger<Element>) {
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

template <class Element>
float* pack_panel(const ProductWeights& weights, std::int64_t depth, std::int64_t column, std::int64_t width,
                  float* to) {
  const ColumnElements<Element> b(weights, column, width);
  for (std::int64_t c = 0; c < width; ++c) {
    if constexpr (kIsInteger<Element>) {
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
                               std::int64_t depth_of_slice, ElementKind kind_of_elements, bool by_matrix_unit)
    : columns(columns_of_b),
      slices(slices_of_k),
      depth(depth_of_slice),
      lanes(panel_sizes().lanes),
      kind(kind_of_elements),
      tiled(by_matrix_unit),
      folded(!tiled && 2 * columns <= panel_sizes().most_vectors * lanes),
      vectors(folded ? ceil_div(2 * columns, lanes) : ceil_div(columns, lanes), most_vectors()) {}

// Slices are read by tiles of 3 vectors up to an eighth faster than by tiles of 4 (float32 on a Zen 4).
int ProductColumns::most_vectors() const {
  constexpr int kOfSlices = 3;
  const int most = panel_sizes().most_vectors;
  return tiled || folded || slices == 1 ? most : std::min(most, kOfSlices);
}

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
  const bool planes = kElement<Element>.values > 1 || a.row == lanes;
  const auto kernel = tiled    ? kernels.multiply_tiled
                      : folded ? (planes ? kernels.multiply_folded_planes : kernels.multiply_folded)
                               : (planes ? kernels.multiply_planes : kernels.multiply);
  if (!folded) {
    const std::int64_t column = vectors.begin(panel) * lanes;
    out.y += column;
    if (out.residual != nullptr) out.residual += column;
    out.columns = std::min(width, columns - column);
  }
  kernel(static_cast<int>(vectors.size(panel)), rows, a, {weights + at(panel), width}, out, ahead);
}

#define PILA_INSTANTIATE(Element)                                                                      \
  template float* pack_panel<Element>(const ProductWeights&, std::int64_t, std::int64_t, std::int64_t, \
                                      float*);                                                         \
  template void ProductColumns::pack<Element>(const ProductWeights&, float*) const;                    \
  template void ProductColumns::multiply<Element>(std::int64_t, const float*, std::int64_t,            \
                                                  const TileRows<Element>&, PanelOutput, const Ahead&) const
PILA_INSTANTIATE(float);
PILA_INSTANTIATE(BFloat16Pair);
PILA_INSTANTIATE(Int8Quad);
PILA_INSTANTIATE(Int8Pair);
#undef PILA_INSTANTIATE

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
