// Products of any matrices in plain float32: a block of threads multiplies tiles that it keeps in shared
// memory, and each thread has a few rows and columns of the sums in registers.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"

namespace pila::kernels::cuda {

// A matrix in global memory: element (row, column) is data[row * row_step + column * column_step].
template <class T>
struct Strided {
  const T* data;
  std::int64_t rows, columns, row_step, column_step;

  __device__ float at(std::int64_t row, std::int64_t column) const {
    return row < rows && column < columns ? widen(data[row * row_step + column * column_step]) : 0.0f;
  }
};

class FmaTile {
 public:
  static constexpr int kRows = 64, kColumns = 64, kThreads = 128;

  // Shared memory, in floats.
  static constexpr int kSharedSize = 2 * 16 * (kRows + 4) + 2 * 16 * (kColumns + 4);

  // Adds rows [row, row + 64) of a, columns [begin, end), times columns [column, column + 64) of b. To be
  // called by all kThreads threads of the block; `shared` may be used again after a barrier. A matrix is
  // Strided, or has what multiply() reads of one: at() and column_step.
  template <class A, class B>
  __device__ void multiply(const A& a, const B& b, std::int64_t row, std::int64_t column, std::int64_t begin,
                           std::int64_t end, float* shared) {
    float next_a[kLoads], next_b[kLoads];
    load(a, b, row, column, begin, end, next_a, next_b);
    int stage = 0;
    for (std::int64_t depth = begin; depth < end; depth += kDepth, stage ^= 1) {
      float* tile_a = shared + stage * kDepth * kStride;
      float* tile_b = shared + (2 + stage) * kDepth * kStride;
#pragma unroll
      for (int i = 0; i < kLoads; ++i) {
        tile_a[place_a(a, i).shared()] = next_a[i];
        tile_b[place_b(b, i).shared()] = next_b[i];
      }
      __syncthreads();
      if (depth + kDepth < end) load(a, b, row, column, depth + kDepth, end, next_a, next_b);
#pragma unroll
      for (int p = 0; p < kDepth; ++p) {
        const auto left = load_pack(tile_a + p * kStride, thread_row());
        const auto first = load_pack(tile_b + p * kStride, thread_column());
        const auto second = load_pack(tile_b + p * kStride, thread_column() + kColumns / 8);
#pragma unroll
        for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            sums_[i][j] = fmaf(left.lane[i], first.lane[j], sums_[i][j]);
            sums_[i][4 + j] = fmaf(left.lane[i], second.lane[j], sums_[i][4 + j]);
          }
        }
      }
    }
  }

  // Calls visit(row, column, sum) for the sums of all threads, which share the work anew by way of `shared`:
  // neighbours get neighbouring columns, and what `visit` does is compiled once instead of for every sum.
  template <class Visit>
  __device__ void for_sums(float* shared, const Visit& visit) const {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
      for (int j = 0; j < kThreadColumns; ++j) {
        const int column = thread_column() * 4 + j % 4 + j / 4 * (kColumns / 2);
        shared[(thread_row() * kThreadRows + i) * kStride + column] = sums_[i][j];
      }
    }
    __syncthreads();
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kColumns; i += kThreads) {
      visit(i / kColumns, i % kColumns, shared[i / kColumns * kStride + i % kColumns]);
    }
  }

 private:
  static constexpr int kDepth = 16,
                       kStride = kRows + 4;  // of a tile in shared memory, which has b's width too
  static constexpr int kLoads = kDepth * kRows / kThreads;
  static constexpr int kThreadRows = 4, kThreadColumns = 8;
  static_assert(kRows == kColumns && kRows * kStride <= kSharedSize);

  struct Place {
    int depth, other;
    __device__ int shared() const { return depth * kStride + other; }
  };

  __device__ static int thread_row() { return static_cast<int>(threadIdx.x) / 8; }
  __device__ static int thread_column() { return static_cast<int>(threadIdx.x) % 8; }

  // The thread's i-th number of a tile: neighbouring threads read neighbours in memory.
  __device__ static Place place(bool depth_is_dense, int i) {
    const int number = i * kThreads + static_cast<int>(threadIdx.x);
    return depth_is_dense ? Place{number % kDepth, number / kDepth} : Place{number / kRows, number % kRows};
  }
  template <class A>
  __device__ static Place place_a(const A& a, int i) {
    return place(a.column_step == 1, i);
  }
  template <class B>
  __device__ static Place place_b(const B& b, int i) {
    return place(b.column_step != 1, i);
  }

  template <class A, class B>
  __device__ static void load(const A& a, const B& b, std::int64_t row, std::int64_t column,
                              std::int64_t depth, std::int64_t end, float (&next_a)[kLoads],
                              float (&next_b)[kLoads]) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const Place in_a = place_a(a, i), in_b = place_b(b, i);
      next_a[i] = depth + in_a.depth < end ? a.at(row + in_a.other, depth + in_a.depth) : 0.0f;
      next_b[i] = depth + in_b.depth < end ? b.at(depth + in_b.depth, column + in_b.other) : 0.0f;
    }
  }

  float sums_[kThreadRows][kThreadColumns] = {};
};

}  // namespace pila::kernels::cuda
