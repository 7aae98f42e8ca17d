// Numbers as bfloat16, two in a word, as the processor's products of pairs read them.
#pragma once

#include <cstdint>

#include "kernels/args/half.h"
#include "kernels/args/precision.h"
#include "kernels/args/types.h"

namespace pila::kernels::cpu {

// Two neighbouring values of k, the first in the lower half. As large as a float, so that both take the same
// places.
struct BFloat16Pair {
  std::uint32_t bits;
};

inline BFloat16Pair bfloat16_pair(float first, float second) {
  return {to_bfloat16(first).bits | static_cast<std::uint32_t>(to_bfloat16(second).bits) << 16};
}

// Values of k that an element of a product holds.
template <class Element>
inline constexpr std::int64_t kValues = 1;
template <>
inline constexpr std::int64_t kValues<BFloat16Pair> = 2;

// What a processor needs for such products, for people; whether this one has it.
inline constexpr const char* kBFloat16Feature = "AVX-512 BF16";
bool has_bfloat16();

// Whether products of `type` with factors rounded to `precision` are made of this kind of elements, here.
template <class Element>
bool multiplies(DType type, Precision precision);
template <>
inline bool multiplies<float>(DType type, Precision precision) {
  return type == DType::f32 && precision == Precision::f32;
}
template <>
inline bool multiplies<BFloat16Pair>(DType type, Precision precision) {
  return type == DType::f32 && precision == Precision::bf16 && has_bfloat16();
}

// Rounds rows of `size` numbers to rows of `pairs` pairs, with zeros behind; to nearest, ties to even, and
// subnormal numbers to zero. For processors that have bfloat16.
void round_rows(const float* from, std::int64_t rows, std::int64_t size, BFloat16Pair* to,
                std::int64_t pairs);

}  // namespace pila::kernels::cpu
