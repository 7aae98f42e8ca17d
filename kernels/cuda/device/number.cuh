// The types that tensors are stored in, and float32, in which everything is computed.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/args/half.h"
#include "kernels/cuda/device/cuda.cuh"

namespace pila::kernels::cuda {

__device__ inline float widen(float value) { return value; }

__device__ inline float widen(Float16 value) {
#if defined(__CUDACC__)
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
#else
  return to_float(value);
#endif
}

__device__ inline float widen(BFloat16 value) {
  return __uint_as_float(static_cast<std::uint32_t>(value.bits) << 16);
}

// To the nearest, ties to even.
template <class T>
__device__ T narrow(float value) {
#if defined(__CUDACC__)
  T result;
  if constexpr (std::is_same_v<T, Float16>) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  } else {
    result = value;
  }
  return result;
#else
  if constexpr (std::is_same_v<T, Float16>) {
    return to_float16(value);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(value);
  } else {
    return value;
  }
#endif
}

// Two neighbours in memory in 32 bits: the first one is the lower half.
struct Two {
  float first, second;
};

template <class T>
__device__ inline Two widen_two(unsigned bits) {
  return {widen(T{static_cast<std::uint16_t>(bits)}), widen(T{static_cast<std::uint16_t>(bits >> 16)})};
}

template <class T>
__device__ inline unsigned narrow_two(float first, float second) {
#if defined(__CUDACC__)
  unsigned bits;
  if constexpr (std::is_same_v<T, Float16>) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(second), "f"(first));
  } else {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(second), "f"(first));
  }
  return bits;
#else
  return narrow<T>(first).bits | static_cast<unsigned>(narrow<T>(second).bits) << 16;
#endif
}

}  // namespace pila::kernels::cuda
