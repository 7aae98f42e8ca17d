// Tiles of matrices in shared memory, and their products by tensor cores.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/copy_async.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/device/prologue.cuh"

namespace pila::kernels::cuda {

constexpr int kWarpSize = 32;

// How many numbers tensor cores sum over at a time.
template <class T>
constexpr int kProductDepth = 2 * Pack<T>::kLanes;

// The layout of a row-major tile of T, in chunks of 16 bytes. Chunks change places within their row so that
// those of eight neighbouring rows, which ldmatrix reads together, lie in different banks, and so that
// numbers of 32 bits in eight neighbouring columns do in four neighbouring rows.
template <class T, int kRowCount, int kColumnCount>
struct TileLayout {
  static constexpr int kRows = kRowCount, kColumns = kColumnCount, kLanes = Pack<T>::kLanes;
  static constexpr int kChunks = kColumns / kLanes, kSize = kRows * kColumns;  // of a row; numbers
  static_assert((kChunks & (kChunks - 1)) == 0 && kChunks > 0);

  // Where the numbers of a chunk begin.
  __device__ static int place(int row, int chunk) {
    if constexpr (kChunks < 8) {
      return (row * kChunks + (chunk ^ row / (8 / kChunks) % kChunks)) * kLanes;
    } else {
      const int mixed = sizeof(T) == 4 ? row % 4 * 2 + row / 4 % 2 : row % 8;
      return (row * kChunks + (chunk ^ mixed)) * kLanes;
    }
  }

  // Where one number is.
  __device__ static int place_of(int row, int column) {
    return place(row, column / kLanes) + column % kLanes;
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
    const std::int64_t from_row = row + r, from_column = column + chunk * Layout::kLanes;
    const bool inside = from_row < from.rows && from_column < from.columns;
    const T* source = inside ? from.data + from_row * from.columns + from_column : from.data;
    copy_async(tile + Layout::place(r, chunk), source, inside);
  }
}

// What the thread has copied by copy_tile(), and has arrived, is read and put back; what lies outside stays
// zero. Four channels at a time, as registers are few where this happens.
template <class Layout, int kThreads, class T>
__device__ void read_tile(T* tile, const RowMajor<T>& from, std::int64_t row, std::int64_t column,
                          const Normalised& reading) {
  struct alignas(4 * sizeof(T)) Four {
    T lane[4];
  };
  static_assert(kThreads % Layout::kChunks == 0);  // a thread's chunks are of the same channels
  constexpr int kStep = kThreads / Layout::kChunks;
  const int chunk = static_cast<int>(threadIdx.x) % Layout::kChunks;
  const int first = static_cast<int>(threadIdx.x) / Layout::kChunks;
  const std::int64_t channel = column + chunk * Layout::kLanes, below = from.rows - row;
  if (channel >= from.columns) return;
  const int end = below < Layout::kRows ? static_cast<int>(below) : Layout::kRows;
#pragma unroll
  for (int four = 0; four < Layout::kLanes; four += 4) {
    const auto channels = reading.channels<4>(channel + four);
#pragma unroll
    for (int r = first; r < end; r += kStep) {
      Four* const at = accessible(reinterpret_cast<Four*>(tile + Layout::place(r, chunk) + four));
      Four numbers = *at;
      channels.read_in_place(numbers.lane);
      *at = numbers;
    }
  }
}

// The bits that lie in a tile, as multiply_add() wants them.
__device__ inline unsigned tf32_at(const float* number) { return round_to_tf32(__float_as_uint(*number)); }

template <class T, int kParts>
__device__ void round_if_tf32(unsigned (&part)[kParts]) {
  if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (unsigned& number : part) number = round_to_tf32(number);
  }
}

// Rows [row, row + 16) of a, from `depth` on. Tile holds a, or, transposed, its columns as rows.
template <class Tile, bool kTransposed, class T>
__device__ void load_left(FragmentA& left, const T* tile, int row, int depth) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  if constexpr (!kTransposed) {
    load_matrices(left.part, tile + Tile::place(row + lane % 16, depth / Tile::kLanes + lane / 16));
    round_if_tf32<T>(left.part);
  } else if constexpr (sizeof(T) == 2) {
    load_transposed_matrices(left.part,
                             tile + Tile::place(depth + lane / 16 * 8 + lane % 8, row / 8 + lane / 8 % 2));
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      left.part[i] = tf32_at(tile + Tile::place_of(depth + lane % 4 + i / 2 * 4, row + lane / 4 + i % 2 * 8));
    }
  }
}

// Columns [column, column + 16) of b, from `depth` on: two fragments behind each other. Tile holds b, or,
// transposed, its columns as rows.
template <class Tile, bool kTransposed, class T>
__device__ void load_right(unsigned (&part)[4], const T* tile, int depth, int column) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  if constexpr (kTransposed) {
    load_matrices(part,
                  tile + Tile::place(column + lane / 16 * 8 + lane % 8, depth / Tile::kLanes + lane / 8 % 2));
    round_if_tf32<T>(part);
  } else if constexpr (sizeof(T) == 2) {
    load_transposed_matrices(part, tile + Tile::place(depth + lane % 16, column / 8 + lane / 16));
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      part[i] = tf32_at(tile + Tile::place_of(depth + lane % 4 + i % 2 * 4, column + lane / 4 + i / 2 * 8));
    }
  }
}

}  // namespace pila::kernels::cuda
