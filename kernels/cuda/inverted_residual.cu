// Inverted residuals of 16-bit numbers in one pass: a block of threads expands a few wide channels by tensor
// cores into shared memory, filters them there, and projects them into sums that stay in registers, so that
// the wide tensor is never stored. What lies in shared memory is rounded to the type; biases and sums are
// float32.

#include "kernels/args/inverted_residual.h"

#include "kernels/cuda/device/add_parts.cuh"
#include "kernels/cuda/device/finish.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/tensor_tile.cuh"
#include "kernels/cuda/families.h"
#include "kernels/cuda/inverted_residual_tile.h"

namespace pila::kernels::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;
constexpr int kChunk = BlockTile::kChunk, kStrip = BlockTile::kStrip, kTaps = 9;
constexpr int kWideStride = kChunk + BlockTile::kPad;  // of a pixel in shared memory
constexpr int kRowWarps = BlockTile::kPixels / 16, kColumnWarps = kWarps / kRowWarps;
static_assert(BlockTile::kPixels / kStrip * kChunk / 2 == kThreads,
              "each thread filters two channels of a strip");

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
};

// One block's work. kN: output channels that there is room for.
template <class T, int kN>
class Block {
 public:
  __device__ explicit Block(const BlockArgs<T>& args) : a_(args) {
    const auto tiles = static_cast<unsigned>(a_.tile.tiles_y * a_.tile.tiles_x);
    const auto tile = static_cast<int>(blockIdx.x % tiles);
    image_ = blockIdx.x / tiles;
    top_ = tile / a_.tile.tiles_x * a_.tile.tile_h;
    left_ = tile % a_.tile.tiles_x * a_.tile.tile_w;
    x_ = shared_memory<T>();
    expand_w_ = x_ + a_.shared.x;
    wide_ = expand_w_ + a_.shared.expand_w;
    filtered_ = wide_ + a_.shared.wide;
    project_w_ = filtered_ + a_.shared.filtered;
  }

  __device__ void run() {
    const int begin = static_cast<int>(blockIdx.y) * a_.tile.chunks_of_each;
    const int last = begin + a_.tile.chunks_of_each, end = last < a_.tile.chunks ? last : a_.tile.chunks;
    const bool expands = a_.expand_w != nullptr;
    if (expands) copy_pixels(x_, a_.shared.x_stride, a_.in_c, 0, a_.shared.depth / 8);
    copy_wide(begin);
    commit_copies();
    copy_project_w(begin);
    commit_copies();
    for (int chunk = begin; chunk < end; ++chunk) {
      load_taps(chunk);
      wait_for_copies<1>();
      __syncthreads();
      if (expands) {
        expand(chunk);
        __syncthreads();
        if (chunk + 1 < end) copy_wide(chunk + 1);
        commit_copies();
      }
      if (a_.stride == 1) {
        filter<1>(chunk);
      } else {
        filter<2>(chunk);
      }
      if (expands) {
        wait_for_copies<1>();
      } else {
        wait_for_copies<0>();
      }
      __syncthreads();
      if (!expands) {
        if (chunk + 1 < end) copy_wide(chunk + 1);
        commit_copies();
      }
      if (a_.project_w == nullptr) continue;
      project();
      __syncthreads();
      if (chunk + 1 < end) copy_project_w(chunk + 1);
      commit_copies();
    }
    wait_for_copies<0>();
    if (a_.project_w != nullptr) store();
  }

 private:
  __device__ static int thread() { return static_cast<int>(threadIdx.x); }
  __device__ static int warp() { return thread() / kWarpSize; }
  __device__ static int lane() { return thread() % kWarpSize; }

  // Two neighbouring channels, the first one even.
  __device__ static unsigned& two_at(T* channels) {
    return *accessible(reinterpret_cast<unsigned*>(channels));
  }
  __device__ static unsigned two_at(const T* channels) {
    return *accessible(reinterpret_cast<const unsigned*>(channels));
  }

  // ---- copies to shared memory

  // `chunks` times 8 channels, from `channel` on, of the pixels of x under the tile; zeros outside the image.
  __device__ void copy_pixels(T* to, int stride, int channels, int channel, int chunks) const {
    for (int i = thread(); i < a_.tile.in_pixels * chunks; i += kThreads) {
      const int pixel = i / chunks, c = i % chunks * 8;
      const int y = input_y(pixel), x = input_x(pixel);
      const bool inside = is_inside(y, x) && channel + c < channels;
      const T* from = a_.x;
      if (inside) from += ((image_ * a_.in_h + y) * a_.in_w + x) * channels + channel + c;
      copy_async(to + pixel * stride + c, from, inside);
    }
  }

  // Rows [row, row + rows) and columns [column, column + width) of a matrix; zeros outside of it.
  __device__ static void copy_matrix(T* to, int stride, const RowMajor<T>& from, int row, int rows,
                                     int column, int width) {
    const int chunks = width / 8;
    for (int i = thread(); i < rows * chunks; i += kThreads) {
      const int r = i / chunks, c = i % chunks * 8;
      const bool inside = row + r < from.rows && column + c < from.columns;
      const T* source = inside ? from.data + (row + r) * from.columns + column + c : from.data;
      copy_async(to + r * stride + c, source, inside);
    }
  }

  // What a chunk of the wide tensor is made of: weights, or x's own channels.
  __device__ void copy_wide(int chunk) const {
    if (a_.expand_w == nullptr) return copy_pixels(wide_, kWideStride, a_.wide, chunk * kChunk, kChunk / 8);
    copy_matrix(expand_w_, kWideStride, {a_.expand_w, a_.in_c, a_.wide}, 0, a_.shared.depth, chunk * kChunk,
                kChunk);
  }

  __device__ void copy_project_w(int chunk) const {
    if (a_.project_w == nullptr) return;
    copy_matrix(project_w_, a_.shared.project_stride, {a_.project_w, a_.wide, a_.out_c}, chunk * kChunk,
                kChunk, 0, a_.shared.columns);
  }

  // ---- the three steps

  __device__ void expand(int chunk) const {
    const int group = lane() / 4, pair = lane() % 4 * 2, depth = a_.shared.depth;
    for (int first = warp() * 16; first < a_.tile.in_pixels; first += kWarps * 16) {
      Sums sums[kChunk / 8] = {};
      for (int d = 0; d < depth; d += 16) {
        FragmentA pixels;
        load_matrices(pixels.part, x_ + (first + lane() % 16) * a_.shared.x_stride + d + lane() / 16 * 8);
#pragma unroll
        for (int j = 0; j < kChunk / 8; j += 2) {
          unsigned part[4];
          load_transposed_matrices(part, expand_w_ + (d + lane() % 16) * kWideStride + (j + lane() / 16) * 8);
          multiply_add<T>(sums[j], pixels, {{part[0], part[1]}});
          multiply_add<T>(sums[j + 1], pixels, {{part[2], part[3]}});
        }
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int pixel = first + half * 8 + group;
        if (pixel >= a_.tile.in_pixels) continue;
        const bool inside = is_inside(input_y(pixel), input_x(pixel));
#pragma unroll
        for (int j = 0; j < kChunk / 8; ++j) {
          const int c = j * 8 + pair;
          unsigned result = 0;
          if (inside) {
            const float* sum = sums[j].value + half * 2;
            result =
                narrow_two<T>(activate(a_.expand_activation, sum[0] + bias(a_.expand_bias, chunk, c)),
                              activate(a_.expand_activation, sum[1] + bias(a_.expand_bias, chunk, c + 1)));
          }
          two_at(wide_ + pixel * kWideStride + c) = result;
        }
      }
    }
  }

  // The thread's two channels are the same in every chunk.
  __device__ static int own_channel() { return thread() % (kChunk / 2) * 2; }

  // Early, so that they have come when filter() wants them.
  __device__ void load_taps(int chunk) {
    const int channel = chunk * kChunk + own_channel();
#pragma unroll
    for (int tap = 0; tap < kTaps; ++tap) {
      taps_[tap] = channel < a_.wide ? two_at(a_.depthwise_w + tap * a_.wide + channel) : 0;
    }
    shift_ = {bias(a_.depthwise_bias, chunk, own_channel()),
              bias(a_.depthwise_bias, chunk, own_channel() + 1)};
  }

  // Two channels of a strip of neighbours in a row.
  template <int kStride>
  __device__ void filter(int chunk) const {
    constexpr int kWindow = BlockTile::kWindow, kReach = (kStrip - 1) * kStride + kWindow;
    const int strips = (a_.tile.tile_w + kStrip - 1) / kStrip, strip = thread() / (kChunk / 2);
    const int row = strip / strips, column = strip % strips * kStrip;
    if (row >= a_.tile.tile_h) return;
    Two sums[kStrip] = {};
#pragma unroll
    for (int ky = 0; ky < kWindow; ++ky) {
      const int first = (row * kStride + ky) * a_.tile.in_w + column * kStride;
      Two values[kReach] = {};
#pragma unroll
      for (int i = 0; i < kReach; ++i) {
        if (column * kStride + i >= a_.tile.in_w) continue;
        values[i] = widen_two<T>(two_at(wide_ + (first + i) * kWideStride + own_channel()));
      }
#pragma unroll
      for (int kx = 0; kx < kWindow; ++kx) {
        const Two tap = widen_two<T>(taps_[ky * kWindow + kx]);
#pragma unroll
        for (int i = 0; i < kStrip; ++i) {
          sums[i].first = fmaf(values[i * kStride + kx].first, tap.first, sums[i].first);
          sums[i].second = fmaf(values[i * kStride + kx].second, tap.second, sums[i].second);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kStrip; ++i) {
      if (column + i >= a_.tile.tile_w) continue;
      const unsigned result =
          narrow_two<T>(activate(a_.depthwise_activation, sums[i].first + shift_.first),
                        activate(a_.depthwise_activation, sums[i].second + shift_.second));
      const int pixel = row * a_.tile.tile_w + column + i, channel = chunk * kChunk + own_channel();
      if (a_.project_w != nullptr) {
        two_at(filtered_ + pixel * kWideStride + own_channel()) = result;
      } else if (is_output(pixel) && channel < a_.wide) {
        two_at(a_.finish.y + output_row(pixel) * a_.wide + channel) = result;
      }
    }
  }

  // The warp has 16 pixels, and every second group of 16 output channels.
  __device__ void project() {
#pragma unroll
    for (int d = 0; d < kChunk; d += 16) {
      FragmentA pixels;
      load_matrices(pixels.part, filtered_ + (own_pixel() + lane() % 16) * kWideStride + d + lane() / 16 * 8);
#pragma unroll
      for (int i = 0; i < kGroups; ++i) {
        if (own_column(i) >= a_.out_c) continue;
        unsigned part[4];
        load_transposed_matrices(part, project_w_ + (d + lane() % 16) * a_.shared.project_stride +
                                           own_column(i) + lane() / 16 * 8);
        multiply_add<T>(sums_[i][0], pixels, {{part[0], part[1]}});
        multiply_add<T>(sums_[i][1], pixels, {{part[2], part[3]}});
      }
    }
  }

  // By way of shared memory, so that lanes write 8 neighbours at once.
  __device__ void store() const {
    constexpr int kStride = 20;
    float* const own = shared_memory<float>() + warp() * 16 * kStride;
    const int group = lane() / 4, pair = lane() % 4 * 2;
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      if (own_column(i) >= a_.out_c) continue;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
#pragma unroll
        for (int v = 0; v < 4; ++v) {
          own[(group + v / 2 * 8) * kStride + j * 8 + pair + v % 2] = sums_[i][j].value[v];
        }
      }
      __syncwarp();
      const int pixel = own_pixel() + lane() / 2, column = own_column(i) + lane() % 2 * 8;
      const float* from = own + lane() / 2 * kStride + lane() % 2 * 8;
      if (is_output(pixel) && column < a_.out_c) store_sums(output_row(pixel), column, from);
      __syncwarp();
    }
  }

  __device__ void store_sums(std::int64_t row, int column, const float* from) const {
    const Pack<float> sums[2] = {load_pack(from, 0), load_pack(from, 1)};
    if (a_.partial == nullptr) return a_.finish.store_sums(row, column, sums[0].lane);
    float* to = a_.partial + (blockIdx.y * a_.pixels + row) * a_.out_c + column;
    store_pack(to, 0, sums[0]);
    store_pack(to, 1, sums[1]);
  }

  // ---- places

  static constexpr int kGroups = kN / 16 / kColumnWarps;

  __device__ static int own_pixel() { return warp() % kRowWarps * 16; }
  __device__ static int own_column(int i) { return (i * kColumnWarps + warp() / kRowWarps) * 16; }

  __device__ float bias(const float* values, int chunk, int channel) const {
    const int c = chunk * kChunk + channel;
    return values == nullptr || c >= a_.wide ? 0 : values[c];
  }

  // In x, of a pixel under the tile.
  __device__ int input_y(int pixel) const { return top_ * a_.stride - a_.pad_top + pixel / a_.tile.in_w; }
  __device__ int input_x(int pixel) const { return left_ * a_.stride - a_.pad_left + pixel % a_.tile.in_w; }
  __device__ bool is_inside(int y, int x) const { return y >= 0 && y < a_.in_h && x >= 0 && x < a_.in_w; }

  // Whether a pixel of the tile is one of y, and which.
  __device__ bool is_output(int pixel) const {
    const int y = pixel / a_.tile.tile_w;
    return y < a_.tile.tile_h && top_ + y < a_.out_h && left_ + pixel % a_.tile.tile_w < a_.out_w;
  }
  __device__ std::int64_t output_row(int pixel) const {
    const int y = top_ + pixel / a_.tile.tile_w, x = left_ + pixel % a_.tile.tile_w;
    return (image_ * a_.out_h + y) * a_.out_w + x;
  }

  const BlockArgs<T>& a_;
  std::int64_t image_;
  int top_, left_;  // of the tile in y
  T *x_, *expand_w_, *wide_, *filtered_, *project_w_;
  unsigned taps_[kTaps];
  Two shift_;
  Sums sums_[kGroups][2] = {};
};

template <class T, int kN>
__global__ void __launch_bounds__(kThreads, kN <= 160 ? 2 : 1) run_block(BlockArgs<T> args) {
  Block<T, kN>(args).run();
}

// ---- the table

int bytes_of(const BlockTile::Shared& shared) {
  constexpr int kStaging = kWarps * 16 * 20 * static_cast<int>(sizeof(float));
  return std::max(shared.size() * 2, kStaging);
}

template <class T>
Status run(const InvertedResidual& args, const Launch& on) {
  const ConvShape& s = args.depthwise;
  const std::int64_t pixels = s.batch * s.out_h * s.out_w;
  if (pixels == 0) return nullptr;
  const BlockTile tile = BlockTile::choose(args, bytes_of);
  const bool has_parts = tile.splits > 1 && args.project.w != nullptr;
  const BlockArgs<T> block(args, tile, has_parts ? static_cast<float*>(on.workspace) : nullptr);
  const auto kernel = args.project.w == nullptr || args.out_c <= 64 ? run_block<T, 64>
                      : args.out_c <= 160                           ? run_block<T, 160>
                                                                    : run_block<T, 320>;
  const Grid grid{
      dim3(static_cast<unsigned>(s.batch * tile.tiles_y * tile.tiles_x), static_cast<unsigned>(tile.splits)),
      dim3(kThreads), static_cast<std::size_t>(bytes_of(block.shared))};
  const Status status = launch(kernel, grid, on, block);
  if (status != nullptr || !has_parts) return status;
  return run_add_parts(pixels * args.out_c, tile.splits, block.partial, block.finish, on);
}

std::size_t workspace(const InvertedResidual& args, const Stream&) {
  const ConvShape& s = args.depthwise;
  const int splits = BlockTile::choose(args, bytes_of).splits;
  if (args.project.w == nullptr || splits == 1) return 0;
  return static_cast<std::size_t>(splits * s.batch * s.out_h * s.out_w * args.out_c) * sizeof(float);
}

bool is_depthwise(const InvertedResidual& args) {
  const ConvShape& s = args.depthwise;
  const Window& w = s.window;
  return s.in_c == s.out_c && w.kernel_h == BlockTile::kWindow && w.kernel_w == BlockTile::kWindow &&
         (w.stride_h == 1 || w.stride_h == 2) && w.stride_w == w.stride_h && w.dilation_h == 1 &&
         w.dilation_w == 1;
}

bool supports(const InvertedResidual& args) {
  constexpr std::int64_t kMostOutputs = 320, kMostSize = 1 << 15;
  const ConvShape& s = args.depthwise;
  const bool aligned = is_pack_aligned(args.x) && is_pack_aligned(args.expand.w) &&
                       is_pack_aligned(args.depthwise_w) && is_pack_aligned(args.project.w) &&
                       is_pack_aligned(args.project.bias) && is_pack_aligned(args.residual) &&
                       is_pack_aligned(args.y);
  return (args.type == DType::f16 || args.type == DType::bf16) && args.expand.rounding.to == Precision::f32 &&
         args.project.rounding.to == Precision::f32 && is_depthwise(args) && aligned && args.in_c % 8 == 0 &&
         s.in_c % 8 == 0 && args.out_c % 8 == 0 &&
         (args.project.w == nullptr || args.out_c <= kMostOutputs) && std::max(s.in_h, s.in_w) <= kMostSize &&
         BlockTile::choose(args, bytes_of).tile_h > 0;
}

}  // namespace

void add_inverted_residual_kernels(KernelTable& table) {
  table.inverted_residual.add({"inverted_residual_tensor_cores", supports, workspace,
                               [](const InvertedResidual& args, const Launch& on) {
                                 return args.type == DType::f16 ? run<Float16>(args, on)
                                                                : run<BFloat16>(args, on);
                               }});
}

}  // namespace pila::kernels::cuda
