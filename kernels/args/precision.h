// What the factors of products are rounded to before they are multiplied, and how numbers become integers of
// 8 bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace pila::kernels {

// f32: left as they are, whatever the type of the product. tf32: float32 to 10 bits behind the point, to
// nearest, ties away from zero, where that helps, else left as it is. f16, bf16: to nearest, ties to even.
// i8: those of a by a Quantization, those of b, the weights, by one scale for each column (see
// weight_scale()). bf16 and i8 are for products of float32 whose a and b are not transposed; no kernel rounds
// to f16, which networks are stored in where their device has the types of 16 bits.
enum class Precision : std::uint8_t { f32, tf32, f16, bf16, i8 };

// x is about scale * (q - zero), with q in 0..255; scale is positive, and zero itself in 0..255.
struct Quantization {
  float scale = 1;
  std::int32_t zero = 0;
};

// How a product a * b rounds its factors.
struct Rounding {
  Precision to = Precision::f32;
  Quantization a;  // for i8
};

// To nearest, ties to even; what q cannot reach becomes the nearest that it can.
inline std::uint8_t quantize(float x, const Quantization& by) {
  const auto low = static_cast<float>(-by.zero), high = static_cast<float>(255 - by.zero);
  const float steps = x * (1.0f / by.scale);
  const float bounded = steps > low ? std::min(steps, high) : low;  // low for NaN
  return static_cast<std::uint8_t>(std::nearbyintf(bounded) + static_cast<float>(by.zero));
}

// The scale of weights whose largest magnitude is given: w is about scale * q, with q in -127..127.
inline float weight_scale(float largest) { return largest > 0 ? largest / 127.0f : 1.0f; }

inline std::int8_t quantize_weight(float w, float scale) {
  return static_cast<std::int8_t>(std::nearbyintf(std::min(std::max(w / scale, -127.0f), 127.0f)));
}

}  // namespace pila::kernels
