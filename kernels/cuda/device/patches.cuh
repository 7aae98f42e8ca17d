// Convolutions as matrices: what a window covers of an image, which is never written down.
#pragma once

#include <cstdint>

#include "kernels/args/conv.h"
#include "kernels/cuda/device/tensor_tile.cuh"

namespace pila::kernels::cuda {

// A matrix with a row for each pixel of one image and, for each tap of a window, the channels of the pixel of
// another image, `from`, that lies under that tap. Rows are y's pixels and `from` is x; or, kBack, rows are
// x's pixels and `from` is y's gradient.
template <class T, bool kBack>
struct Patches {
  const T* from;
  Window window;
  int from_h, from_w, channels, h, w, rows, columns;

  Patches(const ConvShape& shape, const void* data)
      : from(static_cast<const T*>(data)),
        window(shape.window),
        from_h(static_cast<int>(kBack ? shape.out_h : shape.in_h)),
        from_w(static_cast<int>(kBack ? shape.out_w : shape.in_w)),
        channels(static_cast<int>(kBack ? shape.out_c : shape.in_c)),
        h(static_cast<int>(kBack ? shape.in_h : shape.out_h)),
        w(static_cast<int>(kBack ? shape.in_w : shape.out_w)),
        rows(static_cast<int>(shape.batch) * h * w),
        columns(window.kernel_h * window.kernel_w * channels) {}

  // Where a row's windows lie in `from`; no image behind the last row.
  struct Place {
    int image, top, left;
  };
  __device__ Place place(std::int64_t row) const {
    if (row >= rows) return {-1, 0, 0};
    const int pixel = static_cast<int>(row), down = pixel / w % h, across = pixel % w;
    return kBack ? Place{pixel / (w * h), down + window.pad_top, across + window.pad_left}
                 : Place{pixel / (w * h), down * window.stride_h - window.pad_top,
                         across * window.stride_w - window.pad_left};
  }

  // The first channel of the pixel under a tap; null where there is none.
  __device__ const T* pixel(const Place& place, int tap) const {
    const int down = tap / window.kernel_w * window.dilation_h;
    const int across = tap % window.kernel_w * window.dilation_w;
    int y = place.top + (kBack ? -down : down), x = place.left + (kBack ? -across : across);
    if (kBack) {
      if (y < 0 || x < 0 || y % window.stride_h != 0 || x % window.stride_w != 0) return nullptr;
      y /= window.stride_h;
      x /= window.stride_w;
    }
    if (place.image < 0 || y < 0 || y >= from_h || x < 0 || x >= from_w) return nullptr;
    return from + (static_cast<std::int64_t>(place.image * from_h + y) * from_w + x) * channels;
  }
};

// The chunks of a tile that one thread copies: all at one place of their rows.
template <class Tile, int kThreads>
struct ChunkColumn {
  static_assert(kThreads % Tile::kChunks == 0 && Tile::kRows * Tile::kChunks % kThreads == 0);
  static constexpr int kStep = kThreads / Tile::kChunks, kCount = Tile::kRows / kStep;

  __device__ static int chunk() { return static_cast<int>(threadIdx.x) % Tile::kChunks; }
  __device__ static int row(int i) { return static_cast<int>(threadIdx.x) / Tile::kChunks + i * kStep; }
  // How far into the tile the chunk is.
  __device__ static int column() { return chunk() * Tile::kLanes; }

  template <class T>
  __device__ static void copy(T* tile, int i, const T* source, const T* anything) {
    copy_async(tile + Tile::place(row(i), chunk()), source == nullptr ? anything : source, source != nullptr);
  }
};

// Copies tiles whose rows are rows of patches, from the given one on.
template <class T, bool kBack, class Tile, int kThreads>
class PatchRows {
 public:
  __device__ PatchRows(const Patches<T, kBack>& patches, std::int64_t row) : patches_(patches) {
#pragma unroll
    for (int i = 0; i < Own::kCount; ++i) places_[i] = patches.place(row + Own::row(i));
  }

  // Columns from `depth` on.
  __device__ void operator()(T* tile, std::int64_t depth) const {
    const int column = static_cast<int>(depth) + Own::column();
    const int tap = column / patches_.channels, channel = column % patches_.channels;
#pragma unroll
    for (int i = 0; i < Own::kCount; ++i) {
      const T* pixel = column < patches_.columns ? patches_.pixel(places_[i], tap) : nullptr;
      Own::copy(tile, i, pixel == nullptr ? nullptr : pixel + channel, patches_.from);
    }
  }

 private:
  using Own = ChunkColumn<Tile, kThreads>;
  const Patches<T, kBack>& patches_;
  typename Patches<T, kBack>::Place places_[Own::kCount];
};

// Copies tiles whose rows are rows of patches, and whose columns are patches' from the given one on.
template <class T, class Tile, int kThreads>
class PatchColumns {
 public:
  __device__ PatchColumns(const Patches<T, false>& patches, std::int64_t column) : patches_(patches) {
    const int own = static_cast<int>(column) + Own::column();
    tap_ = own < patches.columns ? own / patches.channels : -1;
    channel_ = own % patches.channels;
  }

  // Rows from `depth` on.
  __device__ void operator()(T* tile, std::int64_t depth) const {
#pragma unroll
    for (int i = 0; i < Own::kCount; ++i) {
      const T* pixel = tap_ < 0 ? nullptr : patches_.pixel(patches_.place(depth + Own::row(i)), tap_);
      Own::copy(tile, i, pixel == nullptr ? nullptr : pixel + channel_, patches_.from);
    }
  }

 private:
  using Own = ChunkColumn<Tile, kThreads>;
  const Patches<T, false>& patches_;
  int tap_, channel_;
};

// Copies tiles whose rows are input channels of a convolution's weights [taps, in_c, out_c], from the given
// one on, and whose columns are taps and output channels.
template <class T, class Tile, int kThreads>
class WeightRows {
 public:
  __device__ WeightRows(const RowMajor<T>& weights, int in_c, std::int64_t row)
      : weights_(weights), in_c_(in_c), row_(static_cast<int>(row)) {}

  __device__ void operator()(T* tile, std::int64_t depth) const {
    const auto out_c = static_cast<int>(weights_.columns);
    const int column = static_cast<int>(depth) + Own::column(), tap = column / out_c;
#pragma unroll
    for (int i = 0; i < Own::kCount; ++i) {
      const int channel = row_ + Own::row(i);
      const std::int64_t row = static_cast<std::int64_t>(tap) * in_c_ + channel;
      const bool inside = channel < in_c_ && row < weights_.rows;
      Own::copy(tile, i, inside ? weights_.data + row * out_c + column % out_c : nullptr, weights_.data);
    }
  }

 private:
  using Own = ChunkColumn<Tile, kThreads>;
  const RowMajor<T>& weights_;
  const int in_c_, row_;
};

}  // namespace pila::kernels::cuda
