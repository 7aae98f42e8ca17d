#include "kernels/cpu/elements.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elements.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/simd_elements.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// round(v, to) makes a vector of numbers elements.
template <class Element, class Round>
HWY_INLINE void round_row(const float* from, std::int64_t size, Element* to, std::int64_t count,
                          const Round& round) {
  constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);
  constexpr std::int64_t kValues = kElement<Element>.values;
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) round(hn::LoadU(FloatTag(), from + i), to + i / kValues);
  Element* const end = to + count;
  to += i / kValues;
  if (i < size) {
    Element last[kLanes / kValues];
    round(load_partial(FloatTag(), from + i, static_cast<std::size_t>(size - i)), last);
    to = std::copy_n(last, (size - i + kValues - 1) / kValues, to);
  }
  std::fill(to, end, Element{0});
}

template <class Element, class Round>
HWY_INLINE void round_all(const float* from, std::int64_t rows, std::int64_t size, Element* to,
                          std::int64_t count, const Round& round) {
  if (size == kElement<Element>.values * count) {  // without gaps
    return round_row(from, rows * size, to, rows * count, round);
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    round_row(from + row * size, size, to + row * count, count, round);
  }
}

#if PILA_BFLOAT16
void round_to_bfloat16(const float* from, std::int64_t rows, std::int64_t size, BFloat16Pair* to,
                       std::int64_t count) {
  round_all(from, rows, size, to, count, [](FloatVector v, BFloat16Pair* pairs) HWY_ATTR {
    hn::StoreU(rounded(v), hn::Half<WordTag>(), &pairs->bits);
  });
}
#endif

void round_to_int8(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                   Int8Quad* to, std::int64_t count) {
  const Quantizer quantizer(by);
  round_all(from, rows, size, to, count,
            [&](FloatVector v, Int8Quad* quads) HWY_ATTR { quantizer.store(v, quads); });
}

using RoundToBFloat16 = void (*)(const float*, std::int64_t, std::int64_t, BFloat16Pair*, std::int64_t);

// Null where there is none.
RoundToBFloat16 bfloat16_rounding() {
#if PILA_BFLOAT16
  return round_to_bfloat16;
#else
  return nullptr;
#endif
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(bfloat16_rounding);
HWY_EXPORT(round_to_int8);
}  // namespace

bool has_bfloat16() {
#if HWY_ARCH_X86
  static const bool has =
      HWY_DYNAMIC_DISPATCH(bfloat16_rounding)() != nullptr && __builtin_cpu_supports("avx512bf16") != 0;
  return has;
#else
  return false;
#endif
}

bool has_dot_products() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512vnni") != 0;
#else
  return false;
#endif
}

void round_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization&,
                BFloat16Pair* to, std::int64_t count) {
  static const auto round = HWY_DYNAMIC_DISPATCH(bfloat16_rounding)();
  round(from, rows, size, to, count);
}

void round_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by, Int8Quad* to,
                std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(round_to_int8)(from, rows, size, by, to, count);
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
