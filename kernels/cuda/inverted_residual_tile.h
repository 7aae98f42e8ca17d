// How an inverted residual is cut into blocks of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/args/inverted_residual.h"

namespace pila::kernels::cuda {

// A block makes tile_h x tile_w pixels of y, and for them a chunk of wide channels after another. Images of
// few tiles have their chunks shared out to `splits` blocks.
struct BlockTile {
  static constexpr int kPixels = 64, kStrip = 4;  // of y, at most; neighbours that one thread filters
  static constexpr int kChunk = 32;               // wide channels
  static constexpr int kWindow = 3;               // of the depthwise convolution
  static constexpr int kMostShared = 99 << 10;    // bytes, on the smallest GPUs that are compiled for
  static constexpr int kPad = 8;  // numbers between rows in shared memory, so that they begin in other banks

  int tile_h = 0, tile_w = 0;  // 0: there is no such tile
  int tiles_y = 0, tiles_x = 0;
  int in_h = 0, in_w = 0, in_pixels = 0;  // of x under the tile
  int chunks = 0, chunks_of_each = 0, splits = 1;

  static int round_up(std::int64_t value, int step) {
    return static_cast<int>((value + step - 1) / step * step);
  }

  // Where each part of shared memory begins, and the distance of its rows, in numbers. Pixels of x come
  // first.
  struct Shared {
    Shared(const InvertedResidual& args, const BlockTile& tile)
        : depth(round_up(args.in_c, 16)),
          columns(round_up(args.out_c, 16)),
          x_stride(depth + kPad),
          project_stride(columns + kPad),
          expand_w(args.expand.w == nullptr ? 0 : round_up(tile.in_pixels, 16) * x_stride),
          wide(expand_w + (args.expand.w == nullptr ? 0 : depth * (kChunk + kPad))),
          filtered(wide + tile.in_pixels * (kChunk + kPad)),
          project_w(filtered + kPixels * (kChunk + kPad)),
          size(project_w + (args.project.w == nullptr ? 0 : kChunk * project_stride)) {}

    int depth, columns;  // the channels of x and y, and zeros behind them
    int x_stride, project_stride;
    int expand_w, wide, filtered, project_w, size;
  };

  // The tile that costs least among those whose `bytes_of(shared)` fits.
  template <class BytesOf>
  static BlockTile choose(const InvertedResidual& args, const BytesOf& bytes_of) {
    constexpr std::int64_t kBusy = 96;  // blocks that keep a GPU's processors busy
    const ConvShape& s = args.depthwise;
    BlockTile best;
    std::int64_t least = 0;
    for (int w = 1; w <= std::min<std::int64_t>(kPixels, s.out_w); ++w) {
      const int strips = (w + kStrip - 1) / kStrip;
      for (int h = std::min({kPixels / w, kPixels / kStrip / strips, static_cast<int>(s.out_h)}); h > 0;
           --h) {
        BlockTile tile;
        tile.tile_h = h;
        tile.tile_w = w;
        tile.tiles_y = round_up(s.out_h, h) / h;
        tile.tiles_x = round_up(s.out_w, w) / w;
        tile.in_h = (h - 1) * s.window.stride_h + kWindow;
        tile.in_w = (w - 1) * s.window.stride_w + kWindow;
        tile.in_pixels = tile.in_h * tile.in_w;
        if (bytes_of(Shared(args, tile)) > kMostShared) continue;
        // Steps of the products that a warp makes, and what goes on beside them.
        const std::int64_t expand =
            args.expand.w == nullptr ? 0 : round_up(tile.in_pixels, 128) / 128 * args.in_c;
        const std::int64_t cost = std::int64_t{tile.tiles_y} * tile.tiles_x * (expand + args.out_c + 128);
        if (best.tile_h == 0 || cost < least) {
          best = tile;
          least = cost;
        }
        break;  // less height costs more
      }
    }
    if (best.tile_h == 0) return best;
    best.chunks = round_up(s.in_c, kChunk) / kChunk;
    const std::int64_t blocks = std::max<std::int64_t>(1, s.batch * best.tiles_y * best.tiles_x);
    const std::int64_t wanted = std::min<std::int64_t>(best.chunks, (kBusy + blocks - 1) / blocks);
    best.chunks_of_each = static_cast<int>((best.chunks + wanted - 1) / wanted);
    best.splits = (best.chunks + best.chunks_of_each - 1) / best.chunks_of_each;
    return best;
  }
};

}  // namespace pila::kernels::cuda
