// The last step of a product or convolution, in float32, rounded once.
#pragma once

#include <cstdint>

#include "kernels/args/types.h"
#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"

namespace pila::kernels::cuda {

// y = activation(sum + bias) + residual; biases are float32 whatever T is.
template <class T>
struct Finish {
  T* y;
  std::int64_t columns;  // of y and residual, row-major
  const float* bias;     // [columns], or null
  const T* residual;     // shaped as y, or null
  Activation activation;

  Finish(void* to, std::int64_t width, const Epilogue& epilogue)
      : y(static_cast<T*>(to)),
        columns(width),
        bias(static_cast<const float*>(epilogue.bias)),
        residual(static_cast<const T*>(epilogue.residual)),
        activation(epilogue.activation) {}

  __device__ void store(std::int64_t row, std::int64_t column, float sum) const {
    const std::int64_t at = row * columns + column;
    float value = activate(activation, bias == nullptr ? sum : sum + bias[column]);
    if (residual != nullptr) value += widen(residual[at]);
    y[at] = narrow<T>(value);
  }

  // Neighbouring sums, as many as a pack of T has; rows begin at packs.
  __device__ void store_sums(std::int64_t row, std::int64_t column, const float* sums) const {
    constexpr int kLanes = Pack<T>::kLanes;
    const std::int64_t pack = (row * columns + column) / kLanes;
    Pack<T> result, other;
    if (residual != nullptr) other = load_pack(residual, pack);
    for (int lane = 0; lane < kLanes; lane += 4) {
      Pack<float> shift = {};
      if (bias != nullptr) shift = load_pack(bias + column + lane, 0);
      for (int i = 0; i < 4; ++i) {
        float value = activate(activation, sums[lane + i] + shift.lane[i]);
        if (residual != nullptr) value += widen(other.lane[lane + i]);
        result.lane[lane + i] = narrow<T>(value);
      }
    }
    store_pack(y, pack, result);
  }
};

}  // namespace pila::kernels::cuda
