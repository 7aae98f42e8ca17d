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

// Zeros: rows are short, and std::fill is a call.
template <class Element>
HWY_INLINE void clear(Element* to, std::int64_t count) {
  constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);
  const hn::Vec<FloatTag> zeros = hn::Zero(FloatTag());
  auto* at = reinterpret_cast<float*>(to);
  for (; count >= kLanes; count -= kLanes, at += kLanes) hn::StoreU(zeros, FloatTag(), at);
  if (count > 0) store_partial(zeros, FloatTag(), at, static_cast<std::size_t>(count));
}

// round(v, to) makes a vector of numbers elements.
template <class Element, class Round>
HWY_INLINE void round_row(const float* from, std::int64_t size, Element* to, std::int64_t count,
                          const Round& round) {
  constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);
  constexpr std::int64_t kValues = kElement<Element>.values;
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) round(hn::LoadU(FloatTag(), from + i), to + i / kValues);
  std::int64_t done = i / kValues;
  if (i < size) {
    Element last[kLanes / kValues];
    round(load_partial(FloatTag(), from + i, static_cast<std::size_t>(size - i)), last);
    const std::int64_t some = (size - i + kValues - 1) / kValues;
    std::copy_n(last, some, to + done);
    done += some;
  }
  clear(to + done, count - done);
}

template <class Element, class Round>
HWY_INLINE void round_all(const float* from, std::int64_t rows, std::int64_t size, Element* to,
                          std::int64_t count, std::int64_t step, const Round& round) {
  if (size == kElement<Element>.values * count && step == count) {  // without gaps
    return round_row(from, rows * size, to, rows * count, round);
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    round_row(from + row * size, size, to + row * step, count, round);
  }
}

template <class Element, class Round>
HWY_INLINE void round_to_planes(const float* from, std::int64_t rows, std::int64_t size, Element* to,
                                std::int64_t plane, std::int64_t count, const Round& round) {
  const std::int64_t values = count * kElement<Element>.values;
  for (std::int64_t row = 0; row < rows; ++row, from += size, to += count) {
    Element* next = to;
    for (std::int64_t i = 0; i < size; i += values, next += plane) {
      round_row(from + i, HWY_MIN(values, size - i), next, count, round);
    }
  }
}

#if PILA_BFLOAT16

void bfloat16_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                   BFloat16Pair* to, std::int64_t count, std::int64_t step) {
  round_all(from, rows, size, to, count, step, Rounding<BFloat16Pair>(by));
}

void bfloat16_planes(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                     BFloat16Pair* to, std::int64_t plane, std::int64_t count) {
  round_to_planes(from, rows, size, to, plane, count, Rounding<BFloat16Pair>(by));
}

#endif

void quad_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by, Int8Quad* to,
               std::int64_t count, std::int64_t step) {
  round_all(from, rows, size, to, count, step, Rounding<Int8Quad>(by));
}

void quad_planes(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                 Int8Quad* to, std::int64_t plane, std::int64_t count) {
  round_to_planes(from, rows, size, to, plane, count, Rounding<Int8Quad>(by));
}

void pair_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by, Int8Pair* to,
               std::int64_t count, std::int64_t step) {
  round_all(from, rows, size, to, count, step, Rounding<Int8Pair>(by));
}

void pair_planes(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                 Int8Pair* to, std::int64_t plane, std::int64_t count) {
  round_to_planes(from, rows, size, to, plane, count, Rounding<Int8Pair>(by));
}

using RoundToPairs = void (*)(const float*, std::int64_t, std::int64_t, const Quantization&, BFloat16Pair*,
                              std::int64_t, std::int64_t);

// Null where there are none.
RoundToPairs bfloat16_rows_kernel() {
#if PILA_BFLOAT16
  return bfloat16_rows;
#else
  return nullptr;
#endif
}

RoundToPairs bfloat16_planes_kernel() {
#if PILA_BFLOAT16
  return bfloat16_planes;
#else
  return nullptr;
#endif
}

bool compiled_for_matrix_unit() { return PILA_MATRIX_UNIT != 0; }

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(bfloat16_rows_kernel);
HWY_EXPORT(bfloat16_planes_kernel);
HWY_EXPORT(quad_rows);
HWY_EXPORT(quad_planes);
HWY_EXPORT(pair_rows);
HWY_EXPORT(pair_planes);
HWY_EXPORT(compiled_for_matrix_unit);
}  // namespace

bool has_bfloat16() {
#if HWY_ARCH_X86
  static const bool has =
      HWY_DYNAMIC_DISPATCH(bfloat16_rows_kernel)() != nullptr && __builtin_cpu_supports("avx512bf16") != 0;
  return has;
#else
  return false;
#endif
}

bool has_dot_products() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512vnni") != 0;
#else
  return kQuadShift != 0;  // compiled for a processor that has them
#endif
}

bool has_matrix_unit() {
  static const bool has = HWY_DYNAMIC_DISPATCH(compiled_for_matrix_unit)() && is_matrix_unit_lent();
  return has;
}

void round_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                BFloat16Pair* to, std::int64_t count, std::int64_t step) {
  static const auto round = HWY_DYNAMIC_DISPATCH(bfloat16_rows_kernel)();
  round(from, rows, size, by, to, count, step);
}

void round_planes(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                  BFloat16Pair* to, std::int64_t plane, std::int64_t count) {
  static const auto round = HWY_DYNAMIC_DISPATCH(bfloat16_planes_kernel)();
  round(from, rows, size, by, to, plane, count);
}

void round_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by, Int8Quad* to,
                std::int64_t count, std::int64_t step) {
  HWY_DYNAMIC_DISPATCH(quad_rows)(from, rows, size, by, to, count, step);
}

void round_rows(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by, Int8Pair* to,
                std::int64_t count, std::int64_t step) {
  HWY_DYNAMIC_DISPATCH(pair_rows)(from, rows, size, by, to, count, step);
}

void round_planes(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                  Int8Quad* to, std::int64_t plane, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(quad_planes)(from, rows, size, by, to, plane, count);
}

void round_planes(const float* from, std::int64_t rows, std::int64_t size, const Quantization& by,
                  Int8Pair* to, std::int64_t plane, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(pair_planes)(from, rows, size, by, to, plane, count);
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
