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
#include "kernels/cpu/simd_elements.h"
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
constexpr std::array<int, 2> kMaxRows = {10, 6};
#endif
constexpr int kMaxVectors = static_cast<int>(kMaxRows.size());
// Of a panel whose rows' mean is wanted: totals take registers, too.
constexpr int kPoolVectors = HWY_MIN(3, kMaxVectors);

// One step of a sum: how elements of a and b are read, multiplied and added. Sums are numbers or integers,
// which keep() turns into numbers of the same bits.
struct FloatSums {
  using Sum = FloatVector;
  static constexpr bool kTiled = false;
  static HWY_INLINE FloatVector keep(FloatVector sum) { return sum; }
  static HWY_INLINE FloatVector kept(FloatVector sum) { return sum; }
};

struct IntSums {
  using Sum = IntVector;
  static constexpr bool kTiled = false;
  static HWY_INLINE FloatVector keep(IntVector sum) { return hn::BitCast(FloatTag(), sum); }
  static HWY_INLINE IntVector kept(FloatVector sum) { return hn::BitCast(IntTag(), sum); }
};

struct FloatStep : FloatSums {
  using Element = float;
  static constexpr int kDepth = 1;  // elements
  static HWY_INLINE FloatVector factor(IntVector a) { return hn::BitCast(FloatTag(), a); }
  static HWY_INLINE FloatVector broadcast(const float* a) { return broadcast_factor(a); }
  static HWY_INLINE FloatVector load(const float* b) { return load_factor(b); }
  static HWY_INLINE FloatVector add(FloatVector a, FloatVector b, FloatVector sum) {
    return add_product(a, b, sum);
  }
};

// Elements that are words.
template <class ElementOfWords, class SumsOfStep>
struct WordStep : SumsOfStep {
  using Element = ElementOfWords;
  static constexpr int kDepth = 1;
  static HWY_INLINE IntVector broadcast_word(const Element* a) {
    return hn::BitCast(IntTag(), broadcast_factor(&a->bits));
  }
  static HWY_INLINE IntVector load_words(const Element* b) {
    return hn::BitCast(IntTag(), load_factor(&b->bits));
  }
};

#if PILA_BFLOAT16
struct BFloat16Step : WordStep<BFloat16Pair, FloatSums> {
  static HWY_INLINE FloatVector factor(IntVector a) { return hn::BitCast(FloatTag(), a); }
  static HWY_INLINE FloatVector broadcast(const Element* a) { return factor(broadcast_word(a)); }
  static HWY_INLINE FloatVector load(const Element* b) { return factor(load_words(b)); }
  static HWY_INLINE FloatVector add(FloatVector a, FloatVector b, FloatVector sum) {
    return add_pair_products(a, b, sum);
  }
};
#endif

#if PILA_DOT_PRODUCTS
struct Int8DotStep : WordStep<Int8Quad, IntSums> {
  static HWY_INLINE IntVector factor(IntVector a) { return a; }
  static HWY_INLINE IntVector broadcast(const Element* a) { return broadcast_word(a); }
  static HWY_INLINE IntVector load(const Element* b) { return load_words(b); }
  static HWY_INLINE IntVector add(IntVector a, IntVector b, IntVector sum) {
    return add_quad_products(a, b, sum);
  }
};
#endif

#if PILA_NO_DOT_PRODUCTS
struct Int8PairStep : WordStep<Int8Pair, IntSums> {
  static HWY_INLINE IntVector factor(IntVector a) { return a; }
  static HWY_INLINE IntVector broadcast(const Element* a) { return broadcast_word(a); }
  static HWY_INLINE IntVector load(const Element* b) { return load_words(b); }
  static HWY_INLINE IntVector add(IntVector a, IntVector b, IntVector sum) {
    return add_short_products(a, b, sum);
  }
};
#endif

// Two elements at once, in the even and the odd lanes, whose sums are to be added in the end: for few
// columns, which leave no vector half empty that way, and need fewer loads for each product. Reads one
// element of a behind an odd depth.
template <class Step>
struct Folded : Step {
  static constexpr int kDepth = 2;
  static HWY_INLINE auto broadcast(const typename Step::Element* a) {
    double both;
    std::memcpy(&both, a, sizeof both);
    return Step::factor(hn::BitCast(IntTag(), hn::Set(hn::ScalableTag<double>(), both)));
  }
};

// Adds a * b to start(r, v), hands the sums to finish(r, v, sum), and fetches some of `ahead` on the way. b:
// for each slice's steps, [vectors]. kRowStep: TileRows::row where it is known beforehand, else 0. What
// `finish` holds stays in registers where it holds no references.
template <class Step, int kRows, int kVectors, int kRowStep, class Start, class Finish>
HWY_NOINLINE void product_tile(const TileRows<typename Step::Element>& a,
                               const typename Step::Element* HWY_RESTRICT b, Ahead ahead, Start start,
                               Finish finish) {
  using Element = typename Step::Element;
  constexpr int kStep = 2;
  typename Step::Sum sums[kRows][kVectors];
  PILA_UNROLL for (int r = 0; r < kRows; ++r) {
    PILA_UNROLL for (int v = 0; v < kVectors; ++v) sums[r][v] = start(r, v);
  }
  const auto step = [&](const auto& element) {
    decltype(Step::load(b)) columns[kVectors];
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

// What stands before a panel's elements: where its sums start, and how they become numbers.
template <class Step, int kVectors>
class PanelHead {
 public:
  static constexpr bool kIntegers = std::is_base_of_v<IntSums, Step>;

  explicit PanelHead(const float* head) {
    PILA_UNROLL for (int v = 0; v < kVectors; ++v) {
      bias_[v] = hn::LoadU(FloatTag(), head + v * kFloatLanes);
      if constexpr (kIntegers) scale_[v] = hn::LoadU(FloatTag(), head + (kVectors + v) * kFloatLanes);
    }
  }

  HWY_INLINE typename Step::Sum operator()(int, int v) const {
    if constexpr (kIntegers) {
      return hn::Zero(IntTag());
    } else {
      return bias_[v];
    }
  }

  HWY_INLINE FloatVector number(typename Step::Sum sum, int v) const {
    if constexpr (kIntegers) {
      return hn::MulAdd(hn::ConvertTo(FloatTag(), sum), scale_[v], bias_[v]);
    } else {
      return sum;
    }
  }
  // Of a sum that started at zero.
  HWY_INLINE FloatVector number_from_zero(typename Step::Sum sum, int v) const {
    if constexpr (kIntegers) {
      return number(sum, v);
    } else {
      return hn::Add(sum, bias_[v]);
    }
  }

 private:
  FloatVector bias_[kVectors];
  FloatVector scale_[kIntegers ? kVectors : 1];
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
