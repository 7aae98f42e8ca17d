// What a block of threads needs to know to make its part of an inverted residual, and how such blocks are
// started.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/args/inverted_residual.h"
#include "kernels/cuda/device/add_parts.cuh"
#include "kernels/cuda/device/finish.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/inverted_residual_tile.h"

namespace pila::kernels::cuda {

template <class T>
struct BlockArgs {
  BlockArgs(const InvertedResidual& args, const BlockTile& cut, float* parts)
      : tile(cut),
        shared(args, cut),
        in_c(static_cast<int>(args.in_c)),
        wide(static_cast<int>(args.depthwise.in_c)),
        out_c(static_cast<int>(args.out_c)),
        in_h(static_cast<int>(args.depthwise.in_h)),
        in_w(static_cast<int>(args.depthwise.in_w)),
        out_h(static_cast<int>(args.depthwise.out_h)),
        out_w(static_cast<int>(args.depthwise.out_w)),
        stride(args.depthwise.window.stride_h),
        pad_top(args.depthwise.window.pad_top),
        pad_left(args.depthwise.window.pad_left),
        x(static_cast<const T*>(args.x)),
        expand_w(static_cast<const T*>(args.expand.w)),
        depthwise_w(static_cast<const T*>(args.depthwise_w)),
        project_w(static_cast<const T*>(args.project.w)),
        expand_bias(static_cast<const float*>(args.expand.bias)),
        depthwise_bias(static_cast<const float*>(args.depthwise_bias)),
        expand_activation(args.expand.activation),
        depthwise_activation(args.depthwise_activation),
        pixels(args.depthwise.batch * args.depthwise.out_h * args.depthwise.out_w),
        partial(parts),
        finish(args.y, args.out_c, {args.project.bias, args.residual, args.project.activation}) {}

  BlockTile tile;
  BlockTile::Shared shared;
  int in_c, wide, out_c, in_h, in_w, out_h, out_w, stride, pad_top, pad_left;
  const T *x, *expand_w, *depthwise_w, *project_w;  // no expand_w: x is wide; no project_w: y is
  const float *expand_bias, *depthwise_bias;
  Activation expand_activation, depthwise_activation;
  std::int64_t pixels;  // of y
  float* partial;       // [splits, pixels, out_c], or null where blocks have all of their sums
  Finish<T> finish;

  __device__ float bias_of(const float* values, int channel) const {
    return values == nullptr || channel >= wide ? 0 : values[channel];
  }
};

// Where the running block's tile lies.
template <class T>
class BlockPlace {
 public:
  __device__ explicit BlockPlace(const BlockArgs<T>& args) : a_(args) {
    const auto tiles = static_cast<unsigned>(a_.tile.tiles_y * a_.tile.tiles_x);
    const auto tile = static_cast<int>(blockIdx.x % tiles);
    image_ = blockIdx.x / tiles;
    top_ = tile / a_.tile.tiles_x * a_.tile.tile_h;
    left_ = tile % a_.tile.tiles_x * a_.tile.tile_w;
  }

  // Its chunks are [first_chunk, last_chunk).
  __device__ int first_chunk() const { return static_cast<int>(blockIdx.y) * a_.tile.chunks_of_each; }
  __device__ int last_chunk() const {
    const int last = first_chunk() + a_.tile.chunks_of_each;
    return last < a_.tile.chunks ? last : a_.tile.chunks;
  }

  // The row of x's matrix of pixels that a pixel under the tile is; negative outside the image.
  __device__ std::int64_t input_row(int pixel) const {
    const int y = top_ * a_.stride - a_.pad_top + pixel / a_.tile.in_w;
    const int x = left_ * a_.stride - a_.pad_left + pixel % a_.tile.in_w;
    const bool inside = y >= 0 && y < a_.in_h && x >= 0 && x < a_.in_w;
    return inside ? (image_ * a_.in_h + y) * a_.in_w + x : -1;
  }

  // The same of y and a pixel of the tile.
  __device__ std::int64_t output_row(int pixel) const {
    const int row = pixel / a_.tile.tile_w, y = top_ + row, x = left_ + pixel % a_.tile.tile_w;
    const bool inside = row < a_.tile.tile_h && y < a_.out_h && x < a_.out_w;
    return inside ? (image_ * a_.out_h + y) * a_.out_w + x : -1;
  }

  // Where the block's part of a sum goes that other blocks have parts of, too.
  __device__ float* partial(std::int64_t row, int column) const {
    return a_.partial + (blockIdx.y * a_.pixels + row) * a_.out_c + column;
  }

 private:
  const BlockArgs<T>& a_;
  std::int64_t image_;
  int top_, left_;  // in y
};

// Whether blocks have parts only of y's sums.
inline bool has_parts(const InvertedResidual& args, const BlockTile& tile) {
  return tile.splits > 1 && args.project.w != nullptr;
}

inline std::size_t workspace_of(const InvertedResidual& args, const BlockTile& tile) {
  const ConvShape& s = args.depthwise;
  if (!has_parts(args, tile)) return 0;
  return static_cast<std::size_t>(tile.splits * s.batch * s.out_h * s.out_w * args.out_c) * sizeof(float);
}

// Starts a block for each tile and split, and what adds up their parts. kernel_for(outputs): the kernel that
// has room for so many channels of y; shared_bytes(BlockTile::Shared).
template <class T, class KernelFor, class SharedBytes>
Status run_blocks(const InvertedResidual& args, const Launch& on, const KernelFor& kernel_for,
                  const SharedBytes& shared_bytes, int threads) {
  const ConvShape& s = args.depthwise;
  const std::int64_t pixels = s.batch * s.out_h * s.out_w;
  if (pixels == 0) return nullptr;
  const BlockTile tile = BlockTile::choose(args, shared_bytes);
  const bool parts = has_parts(args, tile);
  const BlockArgs<T> block(args, tile, parts ? static_cast<float*>(on.workspace) : nullptr);
  const Grid grid{
      dim3(static_cast<unsigned>(s.batch * tile.tiles_y * tile.tiles_x), static_cast<unsigned>(tile.splits)),
      dim3(static_cast<unsigned>(threads)), static_cast<std::size_t>(shared_bytes(block.shared))};
  const Status status = launch(kernel_for(args.project.w == nullptr ? 0 : args.out_c), grid, on, block);
  if (status != nullptr || !parts) return status;
  return run_add_parts(pixels * args.out_c, tile.splits, block.partial, block.finish, on);
}

// Shapes and rounding that blocks of any type can do; more channels of y than that have no room.
inline bool suits_blocks(const InvertedResidual& args) {
  constexpr std::int64_t kMostOutputs = 320, kMostSize = 1 << 15;
  const ConvShape& s = args.depthwise;
  const Window& w = s.window;
  return args.expand.rounding.to == Precision::f32 && args.project.rounding.to == Precision::f32 &&
         s.in_c == s.out_c && w.kernel_h == BlockTile::kWindow && w.kernel_w == BlockTile::kWindow &&
         (w.stride_h == 1 || w.stride_h == 2) && w.stride_w == w.stride_h && w.dilation_h == 1 &&
         w.dilation_w == 1 && std::max(s.in_h, s.in_w) <= kMostSize &&
         (args.project.w == nullptr || args.out_c <= kMostOutputs);
}

}  // namespace pila::kernels::cuda
