// Sums that several blocks have made parts of.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/finish.cuh"
#include "kernels/cuda/device/launch.cuh"

namespace pila::kernels::cuda {

template <class T>
__global__ void add_parts(std::int64_t count, std::int64_t parts, const float* partial, Finish<T> finish) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  float sum = 0;
  for (std::int64_t part = 0; part < parts; ++part) sum += partial[part * count + i];
  finish.store(i / finish.columns, i % finish.columns, sum);
}

// Adds, in order, `parts` arrays of `count` sums that follow each other in `partial`, and finishes them.
template <class T>
Status run_add_parts(std::int64_t count, std::int64_t parts, const float* partial, const Finish<T>& finish,
                     const Launch& on) {
  constexpr int kThreads = 256;
  const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  return launch(add_parts<T>, {dim3(blocks), dim3(kThreads)}, on, count, parts, partial, finish);
}

}  // namespace pila::kernels::cuda
