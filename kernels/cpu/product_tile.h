// Tiles of matrix products whose operands fused kernels lay out themselves: a few rows of a by a few vectors
// of b's columns, summed in registers. Included like simd.h.
//
// Every tile adds in the order of k, whatever its size, so results do not depend on the tiling.

#if defined(PILA_KERNELS_CPU_PRODUCT_TILE_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_PRODUCT_TILE_H_
#undef PILA_KERNELS_CPU_PRODUCT_TILE_H_
#else
#define PILA_KERNELS_CPU_PRODUCT_TILE_H_
#endif

#include <hwy/highway.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/ahead.h"
#include "kernels/cpu/product_panel.h"
#include "kernels/cpu/simd_bfloat16.h"
#include "kernels/cpu/simd_lanes.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// Most rows of a tile of 1, 2, 3 or 4 vectors: sums, a vector of each column of b and a broadcast element of
// a share the registers, of which there are 32 or 16. Few loads for each product count most.
#if defined(PILA_SANITIZED)  // which takes minutes to compile larger tiles
constexpr std::array<int, 4> kMaxRows = {5, 4, 3, 2};
#elif HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr std::array<int, 4> kMaxRows = {14, 12, 8, 6};
#else
constexpr std::array<int, 3> kMaxRows = {10, 6, 4};
#endif
constexpr int kMaxVectors = static_cast<int>(kMaxRows.size());

// One step of a sum: how elements of a and b are read and multiplied.
struct FloatStep {
  using Element = float;
  static constexpr int kDepth = 1;  // elements
  static HWY_INLINE FloatVector broadcast(const float* a) { return hn::Set(FloatTag(), *a); }
  static HWY_INLINE FloatVector load(const float* b) { return hn::LoadU(FloatTag(), b); }
  static HWY_INLINE FloatVector add(FloatVector a, FloatVector b, FloatVector sum) {
    return hn::MulAdd(a, b, sum);
  }
};

#if PILA_BFLOAT16
struct BFloat16Step {
  using Element = BFloat16Pair;
  static constexpr int kDepth = 1;
  static HWY_INLINE FloatVector broadcast(const BFloat16Pair* a) {
    return hn::BitCast(FloatTag(), hn::Set(WordTag(), a->bits));
  }
  static HWY_INLINE FloatVector load(const BFloat16Pair* b) {
    return hn::BitCast(FloatTag(), hn::LoadU(WordTag(), &b->bits));
  }
  static HWY_INLINE FloatVector add(FloatVector a, FloatVector b, FloatVector sum) {
    return add_pair_products(a, b, sum);
  }
};
#endif

// Two elements at once, in the even and the odd lanes, whose sums are to be added in the end: for few
// columns, which leave no vector half empty that way, and need fewer loads for each product. Reads one
// element of a behind an odd depth.
template <class Step>
struct Folded : Step {
  static constexpr int kDepth = 2;
  static HWY_INLINE FloatVector broadcast(const typename Step::Element* a) {
    double both;
    std::memcpy(&both, a, sizeof both);
    return hn::BitCast(FloatTag(), hn::Set(hn::ScalableTag<double>(), both));
  }
};

// Adds a * b to start(r, v), hands the sums to finish(r, v, sum), and fetches some of `ahead` on the way. b:
// for each slice's steps, [vectors]. kRowStep: TileRows::row where it is known beforehand, else 0.
template <class Step, int kRows, int kVectors, int kRowStep, class Start, class Finish>
HWY_NOINLINE void product_tile(const TileRows<typename Step::Element>& a,
                               const typename Step::Element* HWY_RESTRICT b, Ahead ahead, const Start& start,
                               const Finish& finish) {
  using Element = typename Step::Element;
  constexpr int kStep = 2;
  FloatVector sums[kRows][kVectors];
  PILA_UNROLL for (int r = 0; r < kRows; ++r) {
    PILA_UNROLL for (int v = 0; v < kVectors; ++v) sums[r][v] = start(r, v);
  }
  const auto step = [&](const auto& element) {
    FloatVector columns[kVectors];
    PILA_UNROLL for (int v = 0; v < kVectors; ++v) columns[v] = Step::load(b + v * kFloatLanes);
    PILA_UNROLL for (int r = 0; r < kRows; ++r) {
      const auto value = Step::broadcast(element(r));
      PILA_UNROLL for (int v = 0; v < kVectors; ++v) sums[r][v] = Step::add(value, columns[v], sums[r][v]);
    }
    b += kVectors * kFloatLanes;
  };
  for (std::int64_t slice = 0; slice < a.slices; ++slice) {
    const Element* first = a.data + slice * a.slice;
    const Element* rows[kRows];
    PILA_UNROLL for (int r = 0; r < kRows; ++r) rows[r] = first + r * a.row;
    const auto element = [&](int r, std::int64_t p) {
      return kRowStep > 0 ? first + p + r * kRowStep : rows[r] + p;
    };
    std::int64_t p = 0;
    for (; p + kStep * Step::kDepth <= a.depth; p += kStep * Step::kDepth) {
      ahead.fetch();
      PILA_UNROLL for (int i = 0; i < kStep; ++i)
          step([&](int r) { return element(r, p + i * Step::kDepth); });
    }
    for (; p < a.depth; p += Step::kDepth) step([&](int r) { return element(r, p); });
  }
  PILA_UNROLL for (int r = 0; r < kRows; ++r) {
    PILA_UNROLL for (int v = 0; v < kVectors; ++v) finish(r, v, sums[r][v]);
  }
}

// Calls body(constant value), 1 <= value <= kMost.
template <int kMost, class Body>
HWY_INLINE void with_constant(int value, const Body& body) {
  if constexpr (kMost > 1) {
    if (value < kMost) return with_constant<kMost - 1>(value, body);
  }
  body(std::integral_constant<int, kMost>());
}

// A panel's bias, as what sums start from.
template <int kVectors>
struct StartFromBias {
  explicit StartFromBias(const float* bias) {
    PILA_UNROLL for (int v = 0; v < kVectors; ++v) at[v] = hn::LoadU(FloatTag(), bias + v * kFloatLanes);
  }
  HWY_INLINE FloatVector operator()(int, int v) const { return at[v]; }

  FloatVector at[kVectors];
};

// Calls body(constant height, first row) for tiles that cover `rows` rows and are about equally high.
template <int kVectors, class Body>
HWY_INLINE void for_tiles(std::int64_t rows, const Body& body) {
  constexpr int kMost = kMaxRows[kVectors - 1];
  const std::int64_t tiles = ceil_div(rows, kMost);
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    const std::int64_t begin = rows * tile / tiles, end = rows * (tile + 1) / tiles;
    with_constant<kMost>(static_cast<int>(end - begin), [&](auto height) { body(height, begin); });
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
