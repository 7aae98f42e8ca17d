// The gradients of weights and biases that blocks have made parts of, of all pixels or rows.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/number.cuh"

namespace pila::kernels::cuda {

constexpr int kSumsOfBlock = 32, kAddersOfSum = 16;

// 32 sums a block: each of its rows of threads adds every 16th part, and the first one what they have.
template <class T>
__global__ void __launch_bounds__(kSumsOfBlock* kAddersOfSum)
    add_gradient_parts(int weights, int biases, int parts, const float* partial, T* dw, float* dbias) {
  auto* sums = shared_memory<float>();
  const int count = weights + biases, i = static_cast<int>(blockIdx.x * kSumsOfBlock + threadIdx.x);
  float sum = 0;
  for (int part = static_cast<int>(threadIdx.y); part < parts && i < count; part += kAddersOfSum) {
    sum += partial[static_cast<std::int64_t>(part) * count + i];
  }
  sums[threadIdx.y * kSumsOfBlock + threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || i >= count) return;
  for (int adder = 1; adder < kAddersOfSum; ++adder) sum += sums[adder * kSumsOfBlock + threadIdx.x];
  if (i < weights && dw != nullptr) dw[i] = narrow<T>(sum);
  if (i >= weights && dbias != nullptr) dbias[i - weights] = sum;
}

// Adds, in an order that the number of parts alone decides, arrays of weights + biases sums that follow each
// other in `partial`. dw or dbias may be null.
template <class T>
Status run_add_gradient_parts(int weights, int biases, int parts, const float* partial, void* dw, void* dbias,
                              const Launch& on) {
  const auto blocks = static_cast<unsigned>(ceil_div(weights + biases, kSumsOfBlock));
  const Grid grid{dim3(blocks), dim3(kSumsOfBlock, kAddersOfSum),
                  kSumsOfBlock * kAddersOfSum * sizeof(float)};
  return launch(add_gradient_parts<T>, grid, on, weights, biases, parts, partial, static_cast<T*>(dw),
                static_cast<float*>(dbias));
}

}  // namespace pila::kernels::cuda
