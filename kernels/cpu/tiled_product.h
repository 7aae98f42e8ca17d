// Products of rows with a panel by the processor's matrix unit; included like simd.h.

#if defined(PILA_KERNELS_CPU_TILED_PRODUCT_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_TILED_PRODUCT_H_
#undef PILA_KERNELS_CPU_TILED_PRODUCT_H_
#else
#define PILA_KERNELS_CPU_TILED_PRODUCT_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/cpu/ahead.h"
#include "kernels/cpu/matrix_unit.h"
#include "kernels/cpu/product_panel.h"
#include "kernels/cpu/product_tile.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

#if PILA_MATRIX_UNIT

// One step of a sum: up to 16 words of k at once, for up to 16 rows and a vector of columns.
template <class ElementOfTiles>
struct TileStep : std::conditional_t<std::is_same_v<ElementOfTiles, Int8Quad>, IntSums, FloatSums> {
  using Element = ElementOfTiles;
  static constexpr bool kTiled = true;
  template <int kSum, int kA, int kB>
  static HWY_INLINE void add() {
    if constexpr (std::is_same_v<Element, Int8Quad>) {
      tiles::add_quad_products<kSum, kA, kB>();
    } else {
      tiles::add_pair_products<kSum, kA, kB>();
    }
  }
};

// Calls body(constant 0), body(constant 1), ...
template <int kCount, class Body>
HWY_INLINE void for_constants(const Body& body) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) {
    (body(std::integral_constant<int, kIndex>()), ...);
  }
  (std::make_integer_sequence<int, kCount>());
}

// Hands the sums of all rows of a times b to output(r, v, sum), after output.begin(first, count) of the
// `count` rows from `first` on that r counts from 0; output is a copy of `to`, and returned in the end. Sums
// start at zero; a's depth is less than a tile's columns, or a multiple of them.
template <class Step, int kVectors, class Output>
HWY_NOINLINE Output tiled_product(std::int64_t rows, const TileRows<typename Step::Element>& a,
                                  const typename Step::Element* HWY_RESTRICT b, Ahead ahead,
                                  const Output& to) {
  constexpr std::ptrdiff_t kWord = 4, kRow = kTileColumns * kWord;
  constexpr int kLines = 8;  // fetched in a step
  const std::int64_t count = ceil_div(rows, kTileRows), height = HWY_MIN(rows, kTileRows);
  Output output = to;  // by itself, so that it stays in registers
  if (rows == 0) return output;
  alignas(64) float sums[kVectors][kTileRows * kTileColumns];
  const std::int64_t words = HWY_MIN(a.depth, kTileColumns);
  tiles::use({static_cast<int>(height), static_cast<int>(words)});
  for (std::int64_t tile = 0; tile < count; ++tile) {
    // The last tile has rows of the one before, too, rather than fewer.
    const std::int64_t begin = tile * kTileRows, first = HWY_MIN(begin, rows - height), known = begin - first;
    for_constants<kVectors>([&](auto v) { tiles::zero<v>(); });
    const auto* block = b;
    for (std::int64_t slice = 0; slice < a.slices; ++slice) {
      const auto* from = a.data + first * a.row + slice * a.slice;
      for (std::int64_t p = 0; p < a.depth; p += words) {
        tiles::load<tiles::kA>(from + p, a.row * kWord);
        for_constants<kVectors>([&](auto v) {
          constexpr int kSum = v, kB = tiles::kFirstB + v % tiles::kCountOfB;
          tiles::load<kB>(block + v * kTileColumns, kVectors * kRow);
          Step::template add<kSum, tiles::kA, kB>();
        });
        block += words * kVectors * kTileColumns;
        for (int i = 0; i < kLines; ++i) ahead.fetch();
      }
    }
    for_constants<kVectors>([&](auto v) { tiles::store<v>(sums[v], kRow); });
    output.begin(begin, height - known);
    for (std::int64_t r = known; r < height; ++r) {
      PILA_UNROLL for (int v = 0; v < kVectors; ++v) {
        output(static_cast<int>(r - known), v, Step::kept(hn::Load(FloatTag(), sums[v] + r * kTileColumns)));
      }
    }
  }
  return output;
}

#endif

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
