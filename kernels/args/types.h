// The element types and activations that every kernel's arguments speak of.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pila::kernels {

enum class DType : std::uint8_t { f32, f64, f16, bf16, u8, i32, i64 };

// Bytes of one element.
constexpr std::size_t size_of(DType type) {
  switch (type) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}

enum class Activation : std::uint8_t { none, relu, relu6, silu, sigmoid };

// The type of biases and of everything else that has one number for each channel.
constexpr DType channel_type(DType type) { return type == DType::f64 ? DType::f64 : DType::f32; }

// What a product or convolution does to the numbers of its first factor as it reads them, by channel, their
// last axis: x becomes activation((x - mean) * scale + offset), rounded to x's type. So batch normalisation's
// output need not lie in memory. Padding stays zero.
struct Prologue {
  const void* scaling = nullptr;  // [3, channels] of channel_type(): means, scales, offsets; null: x itself
  Activation activation = Activation::none;
};

// What a product or convolution does to its sums before storing them:
// y = activation(sum + bias[channel]) + residual. Null pointers are left out. In 16 bits sums are float32 and
// rounded once, when they are stored.
struct Epilogue {
  const void* bias = nullptr;      // [output channels] of channel_type()
  const void* residual = nullptr;  // shaped as the output
  Activation activation = Activation::none;
};

}  // namespace pila::kernels
