// All gradients of a depthwise convolution by a window of 3 x 3 in one pass over x, y and dy.
//
// The image is cut into cells of stride x stride pixels of x, each of which belongs to one pixel of y, too.
// The windows of 3 x 3 or 2 x 2 neighbouring pixels of y reach a cell:
//
//     stride 1     stride 2     x: a pixel of the cell
//      g g g        g . g       g: dy times the activation's slope, in the middle of its window
//      g b g        . x x       b: both
//      g g g        g x b
//
// Each pair of an x and a g that a tap joins is a term of dx, and one of dw. A block makes g for a tile of
// cells and a margin around it, rounded, and keeps it in shared memory beside the tile's x; a thread walks
// down a column of cells with two channels. dw and dbias stay in registers until the block has seen all of
// its tiles.

#include <algorithm>

#include "kernels/args/conv.h"
#include "kernels/cuda/device/activation_gradient.cuh"
#include "kernels/cuda/device/add_gradient_parts.cuh"
#include "kernels/cuda/device/copy_async.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/device/prologue.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

// Seven warps: the sizes of MobileNetV2's images are multiples of 7, and a warp takes a column.
constexpr int kPassThreads = 224, kSide = 3, kTaps = kSide * kSide;
constexpr int kSumsOfChannel = kTaps + 1;  // of dw and dbias
constexpr int kMostPacks = 8;              // of channels of a block: 128 bytes for each pixel

// How many neighbouring pixels of y reach a pixel of x.
template <int kStride>
constexpr int kReach = (kSide + kStride - 1) / kStride;

// One axis of the images, in cells. Cell c has the pixels c * stride - shift and the next of x; pixels
// c + lead - a of y reach them, a in 0 .. kReach - 1, by the taps a * stride and the next.
struct CellAxis {
  int x, y, lead, shift, cells, tiles, tile;  // `tile`: cells of a tile

  CellAxis(std::int64_t in, std::int64_t out, int pad, int stride, int most) {
    x = static_cast<int>(in);
    y = static_cast<int>(out);
    lead = pad / stride;
    shift = pad % stride;
    cells = std::max((x - 1 + shift) / stride + 1, y);
    tiles = std::max((cells + most - 1) / most, 1);
    tile = (cells + tiles - 1) / tiles;
  }
};

// How the work is shared out: to blocks by channels, up to 128 bytes of them, and by tiles.
struct CellTiles {
  CellAxis rows, columns;
  int packs, packs_of_chunk, chunks;  // of 16 bytes of channels
  int tiles, parts;                   // a block takes every parts-th tile

  CellTiles(const ConvShape& shape, int lanes)
      : rows(shape.in_h, shape.out_h, shape.window.pad_top, shape.window.stride_h, 8),
        columns(shape.in_w, shape.out_w, shape.window.pad_left, shape.window.stride_w,
                14 / shape.window.stride_w),
        packs(static_cast<int>(shape.in_c / lanes)) {
    constexpr int kBlocks = 1024;
    chunks = std::max((packs + kMostPacks - 1) / kMostPacks, 1);
    packs_of_chunk = (packs + chunks - 1) / chunks;
    tiles = static_cast<int>(shape.batch) * rows.tiles * columns.tiles;
    const int most_parts = std::max(kBlocks / chunks, 1);
    const int tiles_of_part = std::max((tiles + most_parts - 1) / most_parts, 1);
    parts = std::max((tiles + tiles_of_part - 1) / tiles_of_part, 1);
  }
};

template <class T>
struct DepthwisePass {
  const T *x, *w, *y, *dy;  // y is null where the activation is none, x where nothing is made of it
  T* dx;                    // or null
  float* partial;           // [parts, kSumsOfChannel, channels], or null
  bool normalises;          // x, so:
  Normalised of_x;
  Activation activation;
  CellTiles cut;

  DepthwisePass(const DepthwiseGradients& args, const CellTiles& tiles, void* workspace)
      : x(static_cast<const T*>(args.dw == nullptr ? nullptr : args.x)),
        w(static_cast<const T*>(args.w)),
        y(static_cast<const T*>(args.activation == Activation::none ? nullptr : args.y)),
        dy(static_cast<const T*>(args.dy)),
        dx(static_cast<T*>(args.dx)),
        partial(static_cast<float*>(args.dw == nullptr && args.dbias == nullptr ? nullptr : workspace)),
        normalises(args.prologue.scaling != nullptr),
        of_x(args.prologue, args.shape.in_c),
        activation(args.activation),
        cut(tiles) {}
};

// One block's work.
template <class T, int kStride>
class DepthwiseTiles {
 public:
  __device__ explicit DepthwiseTiles(const DepthwisePass<T>& pass) : pass_(pass) {
    const int first = static_cast<int>(blockIdx.y) * pass.cut.packs_of_chunk;
    const int left = pass.cut.packs - first;
    packs_ = left < pass.cut.packs_of_chunk ? left : pass.cut.packs_of_chunk;
    const int pairs = packs_ * (kLanes / 2);
    slots_ = kPassThreads / pairs;
    slot_ = static_cast<int>(threadIdx.x) / pairs;
    pair_ = static_cast<int>(threadIdx.x) % pairs;
  }

  __device__ void take(int tile) {
    place(tile);
    fetch_x();
    make_g();
    wait_for_copies<0>();
    normalise_x();
    load_weights();
    __syncthreads();
    const int strips = (height_ + kStrip - 1) / kStrip;
    for (int i = slot_; i < width_ * strips && slot_ < slots_; i += slots_) {
      walk(i / width_ * kStrip, i % width_);
    }
    __syncthreads();
  }

  // Adds up what the block's threads have, in their order.
  __device__ void store_sums() const {
    auto* sums = shared_memory<float>();
    const int channels = packs_ * kLanes, count = kSumsOfChannel * channels;
    if (slot_ < slots_) {
      for (int k = 0; k < kSumsOfChannel; ++k) {
        float* to = sums + slot_ * count + k * channels + 2 * pair_;
        to[0] = k < kTaps ? dw_[k][0] : dbias_[0];
        to[1] = k < kTaps ? dw_[k][1] : dbias_[1];
      }
    }
    __syncthreads();
    const int all_channels = pass_.cut.packs * kLanes;
    float* to = pass_.partial + static_cast<std::int64_t>(blockIdx.x) * kSumsOfChannel * all_channels;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kPassThreads) {
      float sum = 0;
      for (int slot = 0; slot < slots_; ++slot) sum += sums[slot * count + i];
      to[i / channels * all_channels + first_channel() + i % channels] = sum;
    }
  }

 private:
  static constexpr int kLanes = Pack<T>::kLanes, kPitch = kMostPacks * kLanes;
  static constexpr int kMargin = kReach<kStride> - 1, kStrip = 4;

  struct alignas(2 * sizeof(T)) PairOf {
    T first, second;
  };

  struct alignas(4 * sizeof(T)) Four {
    T number[4];
  };

  // The weights of the thread's channels: anew for each tile, so as not to take registers where g is made.
  __device__ void load_weights() {
    for (int k = 0; k < kTaps; ++k) {
      const T* of_tap = pass_.w + k * (pass_.cut.packs * kLanes) + first_channel();
      PairOf pair = {};
      if (pass_.dx != nullptr) pair = *accessible(reinterpret_cast<const PairOf*>(of_tap) + pair_);
      w_[k][0] = widen(pair.first);
      w_[k][1] = widen(pair.second);
    }
  }

  // The tile's first cell, and its size in cells.
  __device__ void place(int tile) {
    const CellAxis &rows = pass_.cut.rows, &columns = pass_.cut.columns;
    auto rest = static_cast<unsigned>(tile);
    left_ = static_cast<int>(rest % columns.tiles) * columns.tile;
    rest /= columns.tiles;
    top_ = static_cast<int>(rest % rows.tiles) * rows.tile;
    image_ = static_cast<int>(rest / rows.tiles);
    width_ = columns.cells - left_ < columns.tile ? columns.cells - left_ : columns.tile;
    height_ = rows.cells - top_ < rows.tile ? rows.cells - top_ : rows.tile;
  }

  // Of the block's chunk.
  __device__ int first_channel() const {
    return static_cast<int>(blockIdx.y) * pass_.cut.packs_of_chunk * kLanes;
  }

  __device__ int g_width() const { return width_ + kMargin; }
  __device__ T* g() const { return shared_memory<T>(); }
  __device__ T* x() const { return g() + (height_ + kMargin) * g_width() * kPitch; }

  // The first number of a pixel's row of channels; -1 outside of the image.
  __device__ std::int64_t in_image(int row, int column, int rows, int columns) const {
    if (row < 0 || row >= rows || column < 0 || column >= columns) return -1;
    const int pixel = (image_ * rows + row) * columns + column;
    return static_cast<std::int64_t>(pixel) * (pass_.cut.packs * kLanes) + first_channel();
  }

  __device__ std::int64_t in_x(int row, int column) const {
    const CellAxis &rows = pass_.cut.rows, &columns = pass_.cut.columns;
    return in_image(top_ * kStride - rows.shift + row, left_ * kStride - columns.shift + column, rows.x,
                    columns.x);
  }

  // Calls visit(pack in the tile's x, its first number in the images) for the packs that this thread brings;
  // what is outside of the image is left out.
  template <class Visit>
  __device__ void for_packs_of_x(const Visit& visit) const {
    const int pack = static_cast<int>(threadIdx.x) % packs_, step = kPassThreads / packs_;
    const int width = width_ * kStride, pixels = height_ * kStride * width;
    int pixel = static_cast<int>(threadIdx.x) / packs_;
    if (pixel >= step) pixel = pixels;
    for (; pixel < pixels; pixel += step) {
      const std::int64_t from = in_x(pixel / width, pixel % width);
      if (from >= 0) visit(pixel * kMostPacks + pack, from + pack * kLanes);
    }
  }

  __device__ void fetch_x() const {
    if (pass_.x == nullptr) return;
    for_packs_of_x(
        [&](int pack, std::int64_t from) { copy_async(x() + pack * kLanes, pass_.x + from, true); });
    commit_copies();
  }

  // Each thread what it brought.
  __device__ void normalise_x() const {
    if (pass_.x == nullptr || !pass_.normalises) return;
    const int first = first_channel() + static_cast<int>(threadIdx.x) % packs_ * kLanes;
    for (int four = 0; four < kLanes; four += 4) {
      const auto channels = pass_.of_x.template channels<4>(first + four);
      for_packs_of_x([&](int pack, std::int64_t) {
        channels.read_in_place(accessible(reinterpret_cast<Four*>(x() + pack * kLanes + four))->number);
      });
    }
  }

  // g of the tile's pixels of y and the margin, some at a time; zeros outside of the image.
  __device__ void make_g() const {
    constexpr int kAtOnce = sizeof(T) == 2 ? 2 : 4;
    const CellAxis &rows = pass_.cut.rows, &columns = pass_.cut.columns;
    const int pack = static_cast<int>(threadIdx.x) % packs_, step = kPassThreads / packs_;
    const int width = g_width(), pixels = (height_ + kMargin) * width;
    int pixel = static_cast<int>(threadIdx.x) / packs_;
    if (pixel >= step) pixel = pixels;
    for (; pixel < pixels; pixel += kAtOnce * step) {
      Pack<T> dy[kAtOnce] = {}, y[kAtOnce] = {};
      for (int i = 0; i < kAtOnce; ++i) {
        const int at = pixel + i * step;
        if (at >= pixels) continue;
        const std::int64_t from = in_image(top_ + rows.lead - kMargin + at / width,
                                           left_ + columns.lead - kMargin + at % width, rows.y, columns.y);
        if (from < 0) continue;
        dy[i] = load_pack(pass_.dy + from, pack);
        if (pass_.y != nullptr) y[i] = load_pack(pass_.y + from, pack);
      }
      for (int i = 0; i < kAtOnce; ++i) {
        const int at = pixel + i * step;
        if (at >= pixels) continue;
        store_pack(g(), at * kMostPacks + pack,
                   pass_.y == nullptr ? dy[i] : through_activation(pass_.activation, dy[i], y[i]));
      }
    }
  }

  // The thread's two channels of a pixel in shared memory.
  __device__ PairOf of_pixel(const T* tile, int pixel) const {
    return *accessible(reinterpret_cast<const PairOf*>(tile + pixel * kPitch) + pair_);
  }

  // g that reaches cell (row, column) of the tile from so many pixels above and to the left.
  __device__ Two g_of(int row, int column, int above, int before) const {
    const PairOf pair = of_pixel(g(), (row + kMargin - above) * g_width() + column + kMargin - before);
    return {widen(pair.first), widen(pair.second)};
  }

  // A strip of a column of the tile, from a cell on. A row of g is read once, and moves up.
  __device__ void walk(int begin, int column) {
    const int end = begin + kStrip < height_ ? begin + kStrip : height_;
    constexpr int kAcross = kReach<kStride>;
    Two g[kAcross][kAcross];
    for (int above = 1; above < kAcross; ++above) {
      for (int before = 0; before < kAcross; ++before) {
        g[above - 1][before] = g_of(begin, column, above, before);
      }
    }
    for (int row = begin; row < end; ++row) {
      for (int above = kAcross - 1; above > 0; --above) {
        for (int before = 0; before < kAcross; ++before) g[above][before] = g[above - 1][before];
      }
      for (int before = 0; before < kAcross; ++before) g[0][before] = g_of(row, column, 0, before);
      const Two own = g_of(row, column, pass_.cut.rows.lead, pass_.cut.columns.lead);
      dbias_[0] += own.first;
      dbias_[1] += own.second;
      for (int down = 0; down < kStride; ++down) {
        for (int right = 0; right < kStride; ++right) {
          add_pixel(row * kStride + down, column * kStride + right, down, right, g);
        }
      }
    }
  }

  // Pixel (row, column) of the tile's x, which lies `down` and `right` of its cell's first.
  __device__ void add_pixel(int row, int column, int down, int right,
                            const Two (&g)[kReach<kStride>][kReach<kStride>]) {
    const std::int64_t at = in_x(row, column);
    if (at < 0) return;
    Two read = {0, 0}, dx = {0, 0};
    if (pass_.x != nullptr) {
      const PairOf stored = of_pixel(x(), row * width_ * kStride + column);
      read = {widen(stored.first), widen(stored.second)};
    }
    for (int above = 0; above < kReach<kStride>; ++above) {
      for (int before = 0; before < kReach<kStride>; ++before) {
        const int kh = above * kStride + down, kw = before * kStride + right, k = kh * kSide + kw;
        if (kh >= kSide || kw >= kSide) continue;
        const Two of_y = g[above][before];
        dx.first = fmaf(of_y.first, w_[k][0], dx.first);
        dx.second = fmaf(of_y.second, w_[k][1], dx.second);
        dw_[k][0] = fmaf(read.first, of_y.first, dw_[k][0]);
        dw_[k][1] = fmaf(read.second, of_y.second, dw_[k][1]);
      }
    }
    if (pass_.dx == nullptr) return;
    *accessible(reinterpret_cast<PairOf*>(pass_.dx + at) + pair_) = {narrow<T>(dx.first),
                                                                     narrow<T>(dx.second)};
  }

  const DepthwisePass<T>& pass_;
  int packs_;                                // of the block's chunk of channels
  int slots_, slot_, pair_;                  // columns at a time, the thread's, and its pair of channels
  int image_, top_, left_, height_, width_;  // of the tile
  float w_[kTaps][2], dw_[kTaps][2] = {}, dbias_[2] = {};
};

// Three blocks on a processor, which leave 80 registers to a thread; float32, whose packs are fewer channels,
// has less to compute for each byte, and lives without the third.
template <class T, int kStride>
__global__ void __launch_bounds__(kPassThreads, sizeof(T) == 2 ? 3 : 2)
    depthwise_pass(DepthwisePass<T> pass) {
  DepthwiseTiles<T, kStride> tiles(pass);
  for (int tile = static_cast<int>(blockIdx.x); tile < pass.cut.tiles; tile += pass.cut.parts) {
    tiles.take(tile);
  }
  if (pass.partial != nullptr) tiles.store_sums();
}

template <class T>
CellTiles cut_of(const ConvShape& shape) {
  return CellTiles(shape, Pack<T>::kLanes);
}

// Of a tile of g and of x, or of the sums of all threads.
template <int kStride>
std::size_t shared_bytes(const CellTiles& cut) {
  constexpr int kMargin = kReach<kStride> - 1, kOfSums = kPassThreads * 2 * kSumsOfChannel * 4;
  const int g = (cut.rows.tile + kMargin) * (cut.columns.tile + kMargin);
  const int x = cut.rows.tile * kStride * cut.columns.tile * kStride;
  return static_cast<std::size_t>(std::max((g + x) * kMostPacks * 16, kOfSums));
}

template <class T, int kStride>
Status run_stride(const DepthwiseGradients& args, const Launch& on) {
  const CellTiles cut = cut_of<T>(args.shape);
  const DepthwisePass<T> pass(args, cut, on.workspace);
  const Grid grid{dim3(static_cast<unsigned>(cut.parts), static_cast<unsigned>(cut.chunks)),
                  dim3(kPassThreads), shared_bytes<kStride>(cut)};
  return launch(depthwise_pass<T, kStride>, grid, on, pass);
}

template <class T>
Status run_typed(const DepthwiseGradients& args, const Launch& on) {
  const Status status =
      args.shape.window.stride_h == 1 ? run_stride<T, 1>(args, on) : run_stride<T, 2>(args, on);
  if (status != nullptr || (args.dw == nullptr && args.dbias == nullptr)) return status;
  const auto channels = static_cast<int>(args.shape.in_c);
  return run_add_gradient_parts<T>(kTaps * channels, channels, cut_of<T>(args.shape).parts,
                                   static_cast<const float*>(on.workspace), args.dw, args.dbias, on);
}

Status run_depthwise_gradients(const DepthwiseGradients& args, const Launch& on) {
  if (args.shape.in_c == 0) return nullptr;
  return with_number(args.type, [&](auto number) { return run_typed<decltype(number)>(args, on); });
}

std::size_t depthwise_gradients_workspace(const DepthwiseGradients& args, const Stream&) {
  if (args.dw == nullptr && args.dbias == nullptr) return 0;
  const CellTiles cut(args.shape, static_cast<int>(16 / size_of(args.type)));
  return static_cast<std::size_t>(cut.parts * kSumsOfChannel * args.shape.in_c) * sizeof(float);
}

// Padding leaves each pixel of y some tap at or behind the image's first pixel.
bool supports_window(const Window& window) {
  return window.kernel_h == kSide && window.kernel_w == kSide && window.stride_h == window.stride_w &&
         window.stride_h <= 2 && window.dilation_h == 1 && window.dilation_w == 1 && window.pad_top >= 0 &&
         window.pad_top < kSide && window.pad_left >= 0 && window.pad_left < kSide;
}

bool supports_depthwise_gradients(const DepthwiseGradients& args) {
  const ConvShape& shape = args.shape;
  if (!is_number(args.type) || args.activation == Activation::silu || !supports_window(shape.window)) {
    return false;
  }
  const auto lanes = static_cast<std::int64_t>(16 / size_of(args.type));
  return shape.out_c == shape.in_c && shape.in_c % lanes == 0 && shape.in_c < 1 << 16 &&
         shape.batch * std::max(shape.in_h, shape.out_h) * std::max(shape.in_w, shape.out_w) < 1LL << 31 &&
         is_pack_aligned(args.x) && is_pack_aligned(args.w) && is_pack_aligned(args.y) &&
         is_pack_aligned(args.dy) && is_pack_aligned(args.dx) && is_pack_aligned(args.prologue.scaling);
}

}  // namespace

void add_depthwise_gradients_kernels(KernelTable& table) {
  table.depthwise_gradients.add({"depthwise_gradients", supports_depthwise_gradients,
                                 depthwise_gradients_workspace, run_depthwise_gradients});
}

}  // namespace pila::kernels::cuda
