// Tiles of 16-bit matrices in shared memory, and their products by tensor cores.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/copy_async.cuh"
#include "kernels/cuda/device/mma.cuh"

namespace pila::kernels::cuda {

constexpr int kWarpSize = 32;

// The layout of a row-major tile, in chunks of 8 numbers, 16 bytes. Chunks change places within their row so
// that those of eight neighbouring rows, which ldmatrix reads together, lie in different banks.
template <int kRowCount, int kColumnCount>
struct TileLayout {
  static constexpr int kRows = kRowCount, kColumns = kColumnCount;
  static constexpr int kChunks = kColumns / 8, kSize = kRows * kColumns;  // of a row; numbers
  static_assert((kChunks & (kChunks - 1)) == 0 && kChunks > 0);

  // Where the numbers of a chunk begin.
  __device__ static int place(int row, int chunk) {
    const int mixed = kChunks >= 8 ? row % 8 : row / (8 / kChunks) % kChunks;
    return (row * kChunks + (chunk ^ mixed)) * 8;
  }
};

// A row-major matrix in global memory, whose rows begin at multiples of 16 bytes.
template <class T>
struct RowMajor {
  const T* data;
  std::int64_t rows, columns;
};

// Begins to copy the part of a matrix that starts at (row, column); zeros where that is outside.
template <class Layout, int kThreads, class T>
__device__ void copy_tile(T* tile, const RowMajor<T>& from, std::int64_t row, std::int64_t column) {
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < Layout::kRows * Layout::kChunks; i += kThreads) {
    const int r = i / Layout::kChunks, chunk = i % Layout::kChunks;
    const std::int64_t from_row = row + r, from_column = column + chunk * 8;
    const bool inside = from_row < from.rows && from_column < from.columns;
    const T* source = inside ? from.data + from_row * from.columns + from_column : from.data;
    copy_async(tile + Layout::place(r, chunk), source, inside);
  }
}

// One warp's sums += a[row ... row + 16 kM, a_column ... a_column + 16] *
//                    b[b_row ... b_row + 16, column ... column + 8 kN].
template <class A, class B, int kM, int kN, class T>
__device__ void multiply_tiles(Sums (&sums)[kM][kN], const T* a, int row, int a_column, const T* b, int b_row,
                               int column) {
  static_assert(kN % 2 == 0);
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  FragmentA left[kM];
#pragma unroll
  for (int i = 0; i < kM; ++i) {
    load_matrices(left[i].part, a + A::place(row + 16 * i + lane % 16, a_column / 8 + lane / 16));
  }
#pragma unroll
  for (int j = 0; j < kN; j += 2) {
    unsigned part[4];
    load_transposed_matrices(part, b + B::place(b_row + lane % 16, column / 8 + j + lane / 16));
#pragma unroll
    for (int i = 0; i < kM; ++i) {
      multiply_add<T>(sums[i][j], left[i], {{part[0], part[1]}});
      multiply_add<T>(sums[i][j + 1], left[i], {{part[2], part[3]}});
    }
  }
}

}  // namespace pila::kernels::cuda
