// A block's share of a product by tensor cores: copies of the next tiles under way while one is multiplied.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/cuda/device/tensor_tile.cuh"

namespace pila::kernels::cuda {

// A block of kWarpsM x kWarpsN warps makes kM x kN sums. With kWarpsK > 1 there are that many such groups of
// warps, which share each tile's depth; their sums are added at the end, in order. kStages tiles are in
// shared memory at a time.
template <int kM_, int kN_, int kWarpsM_, int kWarpsN_, int kWarpsK_, int kStages_>
struct TensorShape {
  static constexpr int kM = kM_, kN = kN_, kWarpsM = kWarpsM_, kWarpsN = kWarpsN_, kWarpsK = kWarpsK_;
  static constexpr int kStages = kStages_, kThreads = kWarpsM * kWarpsN * kWarpsK * kWarpSize;
  static constexpr int kWarpM = kM / kWarpsM, kWarpN = kN / kWarpsN;  // one warp's sums

  // Of a tile, in bytes: four chunks for each warp that shares it.
  static constexpr int kDepthBytes = 64 * kWarpsK, kStageBytes = (kM + kN) * kDepthBytes;

  // Sums of 16 rows of each warp, padded so that lanes write to different banks.
  static constexpr int kSumStride = kWarpN + 8, kSumSize = 16 * kSumStride;
  static constexpr int kSumBytes = kThreads / kWarpSize * kSumSize * 4;
  static constexpr int kSharedBytes = kStages * kStageBytes > kSumBytes ? kStages* kStageBytes : kSumBytes;
};

// op(a) * op(b), where op transposes what is stored so.
template <class T, class Shape, bool kTransposeA = false, bool kTransposeB = false>
class TensorProduct {
 public:
  static constexpr int kDepth = Shape::kDepthBytes / static_cast<int>(sizeof(T));  // of a tile
  using A =
      std::conditional_t<kTransposeA, TileLayout<T, kDepth, Shape::kM>, TileLayout<T, Shape::kM, kDepth>>;
  using B =
      std::conditional_t<kTransposeB, TileLayout<T, Shape::kN, kDepth>, TileLayout<T, kDepth, Shape::kN>>;
  using WarpSums = Sums[Shape::kWarpM / 16][Shape::kWarpN / 8];

  // The block's sums from (row, column) on, over [begin, end) of the depth; where that is not all of it, it
  // is a multiple of kDepth. All threads call; shared memory is free again after.
  template <class Reading = AsStored>
  __device__ void multiply(const RowMajor<T>& a, const RowMajor<T>& b, std::int64_t row, std::int64_t column,
                           std::int64_t begin, std::int64_t end, const Reading& reading = {}) {
    multiply(
        [&](T* tile, std::int64_t depth) {
          copy_tile<A, Shape::kThreads>(tile, a, kTransposeA ? depth : row, kTransposeA ? row : depth);
        },
        [&](T* tile, std::int64_t depth) {
          copy_tile<B, Shape::kThreads>(tile, b, kTransposeB ? column : depth, kTransposeB ? depth : column);
        },
        begin, end,
        [&](T* tile, std::int64_t depth) {
          if constexpr (!Reading::kKeepsZero) {
            read_tile<A, Shape::kThreads>(tile, a, kTransposeA ? depth : row, kTransposeA ? row : depth,
                                          reading);
          }
        });
  }

  // The same of matrices that are found in other ways: copy(tile, depth) begins to copy the block's tile, of
  // layout A or B, from that depth on; zeros behind the end of the matrix. read_a(tile, depth) may change
  // what the thread has copied of a's, and none has looked at yet.
  template <class CopyA, class CopyB>
  __device__ void multiply(const CopyA& copy_a, const CopyB& copy_b, std::int64_t begin, std::int64_t end) {
    multiply(copy_a, copy_b, begin, end, [](T*, std::int64_t) {});
  }
  template <class CopyA, class CopyB, class ReadA>
  __device__ void multiply(const CopyA& copy_a, const CopyB& copy_b, std::int64_t begin, std::int64_t end,
                           const ReadA& read_a) {
    T* const memory = shared_memory<T>();
    const auto steps = static_cast<int>((end - begin + kDepth - 1) / kDepth);
    const auto stage_of = [&](int step) { return memory + step % Shape::kStages * (A::kSize + B::kSize); };
    const auto depth_of = [&](int step) { return begin + static_cast<std::int64_t>(step) * kDepth; };
    const auto copy_step = [&](int step) {
      if (step < steps) {
        T* stage = stage_of(step);
        copy_a(stage, depth_of(step));
        copy_b(stage + A::kSize, depth_of(step));
      }
      commit_copies();
    };
    for (int step = 0; step < Shape::kStages - 1; ++step) copy_step(step);
    for (int step = 0; step < steps; ++step) {
      wait_for_copies<Shape::kStages - 2>();
      read_a(stage_of(step), depth_of(step));
      __syncthreads();  // the step's tiles are there for all, and the step before is done with its own
      copy_step(step + Shape::kStages - 1);
      const T* stage = stage_of(step);
      constexpr int kWarpDepth = kDepth / Shape::kWarpsK;
#pragma unroll
      for (int depth = 0; depth < kWarpDepth; depth += kProductDepth<T>) {
        multiply_tiles(stage, stage + A::kSize, warp_k() * kWarpDepth + depth);
      }
    }
    wait_for_copies<0>();
    __syncthreads();
  }

  // Calls store(row in the block, column in the block, 8 neighbouring sums) for all sums of the block. All
  // threads call.
  template <class Store>
  __device__ void for_sums(const Store& store) {
    constexpr int kChunks = Shape::kWarpN / 8, kRows = 16 / Shape::kWarpsK;
    float* const memory = shared_memory<float>();
    float* const own = memory + warp() * Shape::kSumSize;
    const float* const first = memory + warp() / Shape::kWarpsK * Shape::kWarpsK * Shape::kSumSize;
    const int group = lane() / 4, pair = lane() % 4 * 2;
#pragma unroll
    for (int i = 0; i < Shape::kWarpM / 16; ++i) {
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
        float* at = own + group * Shape::kSumStride + j * 8 + pair;
        at[0] = sums[i][j].value[0];
        at[1] = sums[i][j].value[1];
        at += 8 * Shape::kSumStride;
        at[0] = sums[i][j].value[2];
        at[1] = sums[i][j].value[3];
      }
      wait_for_partners();
      for (int task = lane(); task < kRows * kChunks; task += kWarpSize) {
        const int r = warp_k() * kRows + task / kChunks, chunk = task % kChunks;
        const float* from = first + r * Shape::kSumStride + chunk * 8;
        float total[8] = {};
#pragma unroll
        for (int k = 0; k < Shape::kWarpsK; ++k, from += Shape::kSumSize) {
          const Pack<float> low = load_pack(from, 0), high = load_pack(from, 1);
#pragma unroll
          for (int c = 0; c < 4; ++c) {
            total[c] += low.lane[c];
            total[4 + c] += high.lane[c];
          }
        }
        store(warp_row() + i * 16 + r, warp_column() + chunk * 8, total);
      }
      wait_for_partners();
    }
  }

  // The warp's, in fragments.
  WarpSums sums = {};

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % kWarpSize; }
  __device__ static int warp_row() { return warp() / Shape::kWarpsK / Shape::kWarpsN * Shape::kWarpM; }
  __device__ static int warp_column() { return warp() / Shape::kWarpsK % Shape::kWarpsN * Shape::kWarpN; }

 private:
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / kWarpSize; }
  __device__ static int warp_k() { return warp() % Shape::kWarpsK; }

  __device__ void multiply_tiles(const T* a, const T* b, int depth) {
    FragmentA left[Shape::kWarpM / 16];
#pragma unroll
    for (int i = 0; i < Shape::kWarpM / 16; ++i) {
      load_left<A, kTransposeA>(left[i], a, warp_row() + 16 * i, depth);
    }
#pragma unroll
    for (int j = 0; j < Shape::kWarpN / 8; j += 2) {
      unsigned part[4];
      load_right<B, kTransposeB>(part, b, depth, warp_column() + 8 * j);
#pragma unroll
      for (int i = 0; i < Shape::kWarpM / 16; ++i) {
        multiply_add<T>(sums[i][j], left[i], {{part[0], part[1]}});
        multiply_add<T>(sums[i][j + 1], left[i], {{part[2], part[3]}});
      }
    }
  }

  // The warps that share their sums.
  __device__ static void wait_for_partners() {
    if constexpr (Shape::kWarpsK > 1) {
      __syncthreads();
    } else {
      __syncwarp();
    }
  }
};

}  // namespace pila::kernels::cuda
