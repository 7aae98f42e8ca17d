// Products of any matrices in plain float32: a block of threads multiplies tiles that it keeps in shared
// memory, and each thread has a few rows and columns of the sums in registers.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/device/prologue.cuh"

namespace pila::kernels::cuda {

// A factor of a product in global memory. `depth` counts what is summed over, `other` the rows of a product's
// first factor or the columns of its second.
template <class T>
struct Factor {
  const T* data;
  std::int64_t others, other_step, depth_step;  // how many; from one element to the next along either
};

class FmaTile {
 public:
  static constexpr int kRows = 64, kColumns = 64, kThreads = 128;
  static constexpr int kThreadRows = 4, kThreadColumns = 8;
  // A tile of a factor in shared memory: kDepth rows of kOthers numbers, kStride apart.
  static constexpr int kDepth = 16, kOthers = 64, kStride = kOthers + 4;
  static constexpr int kLoads = kDepth * kOthers / kThreads;  // of a thread
  static constexpr int kSharedSize = 4 * kDepth * kStride;    // floats
  static_assert(kRows * kStride <= kSharedSize);

  // Adds rows [row, row + 64) of a, from `begin` to `end` of the depth, times columns [column, column + 64)
  // of b. To be called by all kThreads threads of the block; `shared` may be used again after a barrier.
  template <class T>
  __device__ void multiply(const Factor<T>& a, const Factor<T>& b, std::int64_t row, std::int64_t column,
                           std::int64_t begin, std::int64_t end, float* shared) {
    multiply(Loader<T>(a, row, begin), Loader<T>(b, column, begin), end - begin, shared);
  }

  // The same with factors that are found in other ways: see Loader.
  template <class FromA, class FromB>
  __device__ void multiply(FromA from_a, FromB from_b, std::int64_t depth, float* shared) {
    from_a.load(depth);
    from_b.load(depth);
    int stage = 0;
    for (std::int64_t left = depth; left > 0; left -= kDepth, stage ^= 1) {
      float* tile_a = shared + stage * 2 * kDepth * kStride;
      float* tile_b = tile_a + kDepth * kStride;
      from_a.store(tile_a);
      from_b.store(tile_b);
      __syncthreads();
      from_a.load(left - kDepth);
      from_b.load(left - kDepth);
#pragma unroll
      for (int p = 0; p < kDepth; ++p) {
        const auto rows = load_pack(tile_a + p * kStride, thread_row());
        const auto first = load_pack(tile_b + p * kStride, thread_column());
        const auto second = load_pack(tile_b + p * kStride, thread_column() + kColumns / 8);
#pragma unroll
        for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            sums[i][j] = fmaf(rows.lane[i], first.lane[j], sums[i][j]);
            sums[i][4 + j] = fmaf(rows.lane[i], second.lane[j], sums[i][4 + j]);
          }
        }
      }
    }
  }

  // Where in the tile the thread's sum (i, j) lies.
  __device__ static int row_of(int i) { return thread_row() * kThreadRows + i; }
  __device__ static int column_of(int j) { return thread_column() * 4 + j % 4 + j / 4 * (kColumns / 2); }

  float sums[kThreadRows][kThreadColumns] = {};

  // Calls visit(row, column, sum) for the sums of all threads, which share the work anew by way of `shared`:
  // neighbours get neighbouring columns, and what `visit` does is compiled once instead of for every sum.
  template <class Visit>
  __device__ void for_sums(float* shared, const Visit& visit) const {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
      for (int j = 0; j < kThreadColumns; ++j) shared[row_of(i) * kStride + column_of(j)] = sums[i][j];
    }
    __syncthreads();
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kColumns; i += kThreads) {
      visit(i / kColumns, i % kColumns, shared[i / kColumns * kStride + i % kColumns]);
    }
  }

  // One thread's numbers of a factor's tiles, on their way to shared memory. Neighbouring threads read
  // neighbours. Those of a tile are all of one channel; channels lie along the depth, or along the other
  // axis.
  template <class T, class Reading = AsStored>
  class Loader {
   public:
    __device__ Loader(const Factor<T>& factor, std::int64_t other, std::int64_t depth,
                      const Reading& reading = {}, bool channels_along_depth = true)
        : reading_(reading), depth_is_dense_(factor.depth_step == 1) {
      const auto thread = static_cast<int>(threadIdx.x);
      depth_ = depth_is_dense_ ? thread % kDepth : thread / kOthers;
      other_ = depth_is_dense_ ? thread / kDepth : thread % kOthers;
      from_ = factor.data + (other + other_) * factor.other_step + (depth + depth_) * factor.depth_step;
      step_ = depth_is_dense_ ? kOtherStep * factor.other_step : kDepthStep * factor.depth_step;
      advance_ = kDepth * factor.depth_step;
      const std::int64_t inside = factor.others - other - other_;
      most_ = depth_is_dense_ ? count(inside, kOtherStep) : inside > 0 ? kLoads : 0;
      channel_ = channels_along_depth ? depth + depth_ : other + other_;
      channel_advance_ = channels_along_depth ? kDepth : 0;
    }

    // Of the next tile, of whose depth `left` is inside.
    __device__ void load(std::int64_t left) {
      const std::int64_t inside = left - depth_;
      const int deep = depth_is_dense_ ? (inside > 0 ? kLoads : 0) : count(inside, kDepthStep);
      const int limit = deep < most_ ? deep : most_;
#pragma unroll
      for (int i = 0; i < kLoads; ++i) numbers_[i] = i < limit ? widen(from_[i * step_]) : 0.0f;
      from_ += advance_;
      if constexpr (!Reading::kKeepsZero) {
        limit_ = limit;
        if (limit > 0) channels_ = reading_.template channels<1>(channel_);
        channel_ += channel_advance_;
      }
    }

    __device__ void store(float* tile) const {
      float* to = tile + depth_ * kStride + other_;
      const int step = depth_is_dense_ ? kOtherStep : kDepthStep * kStride;
#pragma unroll
      for (int i = 0; i < kLoads; ++i) to[i * step] = number(i);
    }

   private:
    static constexpr int kOtherStep = kThreads / kDepth, kDepthStep = kThreads / kOthers;

    // As it is to be multiplied. It has arrived by now, which load() does not wait for.
    __device__ float number(int i) const {
      if constexpr (Reading::kKeepsZero) {
        return numbers_[i];
      } else {
        return i < limit_ ? widen(narrow<T>(channels_.normalised(numbers_[i], 0))) : 0;
      }
    }

    // How many of kLoads places, `step` apart from 0 on, are less than `inside`.
    __device__ static int count(std::int64_t inside, int step) {
      if (inside <= 0) return 0;
      return inside > step * (kLoads - 1) ? kLoads : (static_cast<int>(inside) + step - 1) / step;
    }

    const Reading reading_;
    const bool depth_is_dense_;
    const T* from_;
    std::int64_t step_, advance_, channel_, channel_advance_;
    typename Reading::template Channels<1> channels_;
    int depth_, other_, most_, limit_;
    float numbers_[kLoads];
  };

 private:
  __device__ static int thread_row() { return static_cast<int>(threadIdx.x) / 8; }
  __device__ static int thread_column() { return static_cast<int>(threadIdx.x) % 8; }
};

}  // namespace pila::kernels::cuda
