// The factors of a product as they are multiplied: rounded, if so asked.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/args/half.h"
#include "kernels/args/precision.h"
#include "kernels/args/types.h"

namespace pila::kernels::reference {

// Whether the factors of products of this type can be rounded so.
inline bool can_round(DType type, const Rounding& rounding) {
  return rounding.to == Precision::f32 || type == DType::f32;
}
// Those of convolutions.
inline bool can_round(DType type, Precision to) {
  return to == Precision::f32 || ((to == Precision::bf16 || to == Precision::tf32) && type == DType::f32);
}

template <class T>
double rounded(T value, Precision to) {
  if constexpr (std::is_same_v<T, float>) {
    if (to == Precision::bf16) return to_float(to_bfloat16(value));
    if (to == Precision::tf32) return to_tf32(value);
  }
  return value;
}

template <class T>
class Factors {
 public:
  // b: [k, n], where elements of a column lie `row` apart, and those of a row `column`.
  Factors(const Rounding& rounding, const T* b, std::int64_t k, std::int64_t n, std::int64_t row,
          std::int64_t column)
      : rounding_(rounding) {
    if (rounding.to != Precision::i8) return;
    for (std::int64_t j = 0; j < n; ++j) {
      float largest = 0;
      for (std::int64_t p = 0; p < k; ++p) {
        largest = std::max(largest, std::abs(static_cast<float>(b[p * row + j * column])));
      }
      scales_.push_back(weight_scale(largest));
    }
  }

  double a(T value) const {
    if constexpr (std::is_same_v<T, float>) {
      if (rounding_.to == Precision::i8) {
        return static_cast<double>(rounding_.a.scale) * (quantize(value, rounding_.a) - rounding_.a.zero);
      }
    }
    return rounded(value, rounding_.to);
  }

  double b(T value, std::int64_t column) const {
    if constexpr (std::is_same_v<T, float>) {
      if (rounding_.to == Precision::i8) {
        const float scale = scales_[static_cast<std::size_t>(column)];
        return static_cast<double>(scale) * quantize_weight(value, scale);
      }
    }
    return rounded(value, rounding_.to);
  }

 private:
  const Rounding rounding_;
  std::vector<float> scales_;  // of b's columns
};

}  // namespace pila::kernels::reference
