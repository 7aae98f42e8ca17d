// What products multiply: numbers as they are, or several neighbouring values of k, rounded, in a word that
// is as large as one of them, so that all kinds take the same places.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/args/half.h"
#include "kernels/args/precision.h"
#include "kernels/args/types.h"
#include "kernels/cpu/matrix_unit.h"

namespace pila::kernels::cpu {

// The first value in the lower half.
struct BFloat16Pair {
  std::uint32_t bits;
};

// Integers of 8 bits, the first one in the lowest byte. Those of b have signs; those of a have none, and
// where the processor only multiplies bytes with signs, kQuadShift is taken off them.
struct Int8Quad {
  std::uint32_t bits;
};

// The same integers in 16 bits each, for processors that do not multiply quads in one instruction.
struct Int8Pair {
  std::uint32_t bits;
};

template <class Element>
inline constexpr bool kIsInteger = std::is_same_v<Element, Int8Quad> || std::is_same_v<Element, Int8Pair>;

#if defined(__ARM_FEATURE_DOTPROD)
inline constexpr std::int32_t kQuadShift = 128;
#else
inline constexpr std::int32_t kQuadShift = 0;
#endif

inline BFloat16Pair bfloat16_pair(float first, float second) {
  return {to_bfloat16(first).bits | static_cast<std::uint32_t>(to_bfloat16(second).bits) << 16};
}

// Whether tiles of the matrix unit multiply pairs and quads, here.
bool has_matrix_unit();

struct ElementKind {
  std::int64_t values;       // of k, in an element
  std::int64_t head_rows;    // of numbers before a panel's elements: the bias and, for integers, the scales
  std::int64_t least_tiled;  // values of k

  // Whether the matrix unit multiplies rows of k values, here. Sums of few products take longer to fetch from
  // it than vectors take to add them up.
  bool tiled(std::int64_t k) const { return values > 1 && k >= least_tiled && has_matrix_unit(); }
};

template <class Element>
inline constexpr ElementKind kElement = {1, 1, 0};
template <>
inline constexpr ElementKind kElement<BFloat16Pair> = {2, 1, 8};
template <>
inline constexpr ElementKind kElement<Int8Quad> = {4, 2, 8};
template <>
inline constexpr ElementKind kElement<Int8Pair> = {2, 2, std::numeric_limits<std::int64_t>::max()};

// What a processor needs for products of pairs, for people; whether this one has it.
inline constexpr const char* kBFloat16Feature = "AVX-512 BF16";
bool has_bfloat16();
// Whether the processor multiplies quads in one instruction; others multiply pairs.
bool has_dot_products();

inline ElementKind element_kind(Precision precision) {
  if (precision == Precision::bf16) return kElement<BFloat16Pair>;
  if (precision != Precision::i8) return kElement<float>;
  return has_dot_products() ? kElement<Int8Quad> : kElement<Int8Pair>;
}

// More values of k might overflow a sum of products of integers.
constexpr std::int64_t kMostInt8Depth = 65536;

// Whether products of `type` over k values of k, with factors rounded to `precision`, are made of this kind
// of elements, here.
template <class Element>
bool multiplies(DType type, Precision precision, std::int64_t k);
template <>
inline bool multiplies<float>(DType type, Precision precision, std::int64_t) {
  return type == DType::f32 && precision == Precision::f32;
}
template <>
inline bool multiplies<BFloat16Pair>(DType type, Precision precision, std::int64_t) {
  return type == DType::f32 && precision == Precision::bf16 && has_bfloat16();
}
template <>
inline bool multiplies<Int8Quad>(DType type, Precision precision, std::int64_t k) {
  return type == DType::f32 && precision == Precision::i8 && k <= kMostInt8Depth && has_dot_products();
}
template <>
inline bool multiplies<Int8Pair>(DType type, Precision precision, std::int64_t k) {
  return type == DType::f32 && precision == Precision::i8 && k <= kMostInt8Depth && !has_dot_products();
}

// Rounds rows of `size` numbers to rows of `count` elements, with zeros behind, `step` elements apart.
// bfloat16: to nearest, ties to even, and subnormal numbers to zero; for processors that have it. int8: as
// quantize() does, less kQuadShift.
void round_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                BFloat16Pair* to, std::int64_t count, std::int64_t step);
void round_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by, Int8Quad* to,
                std::int64_t count, std::int64_t step);
void round_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by, Int8Pair* to,
                std::int64_t count, std::int64_t step);

// The same to planes, which have `count` elements of every row: plane p of row r begins at to + p * plane +
// r * count. Zeros fill the last plane.
void round_planes(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                  BFloat16Pair* to, std::int64_t plane, std::int64_t count);
void round_planes(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                  Int8Quad* to, std::int64_t plane, std::int64_t count);
void round_planes(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                  Int8Pair* to, std::int64_t plane, std::int64_t count);

}  // namespace pila::kernels::cpu
