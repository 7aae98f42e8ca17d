// Work whose pieces need nothing of each other: a thread for each.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/device/launch.cuh"

namespace pila::kernels::cuda {

template <int kThreads, int kLeastBlocks, class Piece>
__global__ void __launch_bounds__(kThreads, kLeastBlocks) each(std::int64_t count, Piece piece) {
  const std::int64_t threads = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (std::int64_t i = thread; i < count; i += threads) piece(i);
}

// Queues piece(0) ... piece(count - 1); its operator() is device code. A multiprocessor is to hold
// kLeastBlocks blocks of kThreads at least, which limits their registers.
template <int kThreads = 256, int kLeastBlocks = 1, class Piece>
Status for_each(const Launch& on, std::int64_t count, const Piece& piece) {
  constexpr std::int64_t most_blocks = 1 << 20;
  if (count == 0) return nullptr;
  const std::int64_t blocks = std::min((count + kThreads - 1) / kThreads, most_blocks);
  const Grid grid{dim3(static_cast<unsigned>(blocks)), dim3(kThreads)};
  return launch(each<kThreads, kLeastBlocks, Piece>, grid, on, count, piece);
}

}  // namespace pila::kernels::cuda
