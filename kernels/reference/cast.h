// From any element type to any other, rounding once: to nearest, ties to even. Integers saturate, NaN becomes
// 0.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/args/half.h"
#include "kernels/args/types.h"

namespace pila::kernels::reference {

// The float32 next to a number, odd in its last bit unless it is exact: rounding it to 16 bits gives what
// rounding the number itself would.
template <class From>
float round_to_odd(From value) {
  const auto nearest = static_cast<float>(value);
  const auto exact = static_cast<long double>(value), rounded = static_cast<long double>(nearest);
  if (std::isnan(nearest) || rounded == exact) return nearest;
  const bool too_large = std::abs(rounded) > std::abs(exact);
  return float_of((bits_of(nearest) - (too_large ? 1 : 0)) | 1);
}

template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<From, To>) {
    return value;
  } else if constexpr (std::is_same_v<From, Float16> || std::is_same_v<From, BFloat16>) {
    return convert<To>(to_float(value));
  } else if constexpr (std::is_same_v<To, Float16>) {
    return to_float16(round_to_odd(value));
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return to_bfloat16(round_to_odd(value));
  } else if constexpr (std::is_floating_point_v<To>) {
    return static_cast<To>(value);
  } else {
    using Limits = std::numeric_limits<To>;
    if constexpr (std::is_floating_point_v<From>) {
      if (std::isnan(value)) return 0;
      const double whole = std::nearbyint(static_cast<double>(value));
      // The largest int64 is no float64: compare with the power of two above it.
      if (whole >= std::ldexp(1.0, Limits::digits)) return Limits::max();
      return whole <= static_cast<double>(Limits::min()) ? Limits::min() : static_cast<To>(whole);
    } else {
      const auto wide = static_cast<std::int64_t>(value);
      if (wide > static_cast<std::int64_t>(Limits::max())) return Limits::max();
      return wide < static_cast<std::int64_t>(Limits::min()) ? Limits::min() : static_cast<To>(wide);
    }
  }
}

// Calls visit(a value of the element type).
template <class Visit>
void with_type(DType type, const Visit& visit) {
  switch (type) {
    case DType::f32:
      return visit(float{});
    case DType::f64:
      return visit(double{});
    case DType::f16:
      return visit(Float16{});
    case DType::bf16:
      return visit(BFloat16{});
    case DType::u8:
      return visit(std::uint8_t{});
    case DType::i32:
      return visit(std::int32_t{});
    case DType::i64:
      return visit(std::int64_t{});
  }
}

}  // namespace pila::kernels::reference
