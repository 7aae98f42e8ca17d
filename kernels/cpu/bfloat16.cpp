#include "kernels/cpu/bfloat16.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/bfloat16.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/simd_bfloat16.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

#if PILA_BFLOAT16

// A vector of numbers to half as many pairs.
HWY_INLINE void round_vector(FloatVector v, BFloat16Pair* to) {
  const hn::Half<WordTag> d;
  hn::StoreU(rounded(v), d, &to->bits);
}

void round_row(const float* from, std::int64_t size, BFloat16Pair* to, std::int64_t pairs) {
  constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) round_vector(hn::LoadU(FloatTag(), from + i), to + i / 2);
  BFloat16Pair* const end = to + pairs;
  to += i / 2;
  if (i < size) {
    BFloat16Pair last[kLanes / 2];
    round_vector(load_partial(FloatTag(), from + i, static_cast<std::size_t>(size - i)), last);
    to = std::copy_n(last, (size - i + 1) / 2, to);
  }
  std::fill(to, end, BFloat16Pair{0});
}

void round_rows(const float* from, std::int64_t rows, std::int64_t size, BFloat16Pair* to,
                std::int64_t pairs) {
  if (size == 2 * pairs) return round_row(from, rows * size, to, rows * pairs);  // without gaps
  for (std::int64_t row = 0; row < rows; ++row) round_row(from + row * size, size, to + row * pairs, pairs);
}

#endif

using RoundRows = void (*)(const float*, std::int64_t, std::int64_t, BFloat16Pair*, std::int64_t);

// Null where there is none.
RoundRows round_rows_kernel() {
#if PILA_BFLOAT16
  return round_rows;
#else
  return nullptr;
#endif
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(round_rows_kernel);
}  // namespace

bool has_bfloat16() {
#if HWY_ARCH_X86
  static const bool has =
      HWY_DYNAMIC_DISPATCH(round_rows_kernel)() != nullptr && __builtin_cpu_supports("avx512bf16") != 0;
  return has;
#else
  return false;
#endif
}

void round_rows(const float* from, std::int64_t rows, std::int64_t size, BFloat16Pair* to,
                std::int64_t pairs) {
  static const auto round = HWY_DYNAMIC_DISPATCH(round_rows_kernel)();
  round(from, rows, size, to, pairs);
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
