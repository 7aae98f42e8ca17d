// Element types of tensors.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/args/half.h"
#include "kernels/args/precision.h"
#include "kernels/args/types.h"

namespace pila {

using kernels::Activation;
using kernels::channel_type;
using kernels::DType;
using kernels::Precision;
using kernels::size_of;

std::string to_string(DType type);           // "float32", "uint8"
std::string to_string(Precision precision);  // "float32", "tf32", "float16", "bfloat16", "int8"
constexpr bool is_floating(DType type) {
  return type == DType::f32 || type == DType::f64 || type == DType::f16 || type == DType::bf16;
}
constexpr bool has_16_bits(DType type) { return type == DType::f16 || type == DType::bf16; }

// The DType of a C++ type: dtype_of<float> is DType::f32.
template <class T>
inline constexpr DType dtype_of = T::unsupported_element_type;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<kernels::Float16> = DType::f16;
template <>
inline constexpr DType dtype_of<kernels::BFloat16> = DType::bf16;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::i64;

}  // namespace pila
