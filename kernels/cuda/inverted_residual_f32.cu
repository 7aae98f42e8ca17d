// Inverted residuals of float32 in one pass, in plain arithmetic. Like those of 16 bits, with any number of
// channels.

#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/families.h"
#include "kernels/cuda/inverted_residual_block.cuh"

namespace pila::kernels::cuda {
namespace {

constexpr int kWarp = 32, kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kChunk = BlockTile::kChunk, kStrip = BlockTile::kStrip, kTaps = 9;
constexpr int kWideStride = kChunk + BlockTile::kPad;  // of a pixel in shared memory
constexpr int kWarpPixels = BlockTile::kPixels / kWarps;
static_assert(kChunk == kWarp, "each lane has a channel");

// One block's work. kN: output channels that there is room for.
template <int kN>
class Block {
 public:
  __device__ explicit Block(const BlockArgs<float>& args) : a_(args), place_(args) {}

  __device__ void run() {
    if (a_.expand_w != nullptr) copy_pixels(x(), a_.shared.x_stride, a_.in_c, 0, a_.shared.depth);
    for (int chunk = place_.first_chunk(); chunk < place_.last_chunk(); ++chunk) {
      const int channel = chunk * kChunk + lane();
      if (a_.expand_w == nullptr) {
        copy_pixels(wide(), kWideStride, a_.wide, chunk * kChunk, kChunk);
      } else {
        for (int d = warp(); d < a_.shared.depth; d += kWarps) {
          const bool inside = d < a_.in_c && channel < a_.wide;
          expand_w()[d * kWideStride + lane()] =
              inside ? a_.expand_w[static_cast<std::int64_t>(d) * a_.wide + channel] : 0;
        }
        __syncthreads();
        expand(channel);
      }
      __syncthreads();
      if (a_.stride == 1) {
        filter<1>(channel);
      } else {
        filter<2>(channel);
      }
      __syncthreads();
      if (a_.project_w != nullptr) project(chunk);
    }
    if (a_.project_w != nullptr) store();
  }

 private:
  __device__ static int thread() { return static_cast<int>(threadIdx.x); }
  __device__ static int warp() { return thread() / kWarp; }
  __device__ static int lane() { return thread() % kWarp; }

  // Parts of shared memory.
  __device__ static float* x() { return shared_memory<float>(); }
  __device__ float* expand_w() const { return shared_memory<float>() + a_.shared.expand_w; }
  __device__ float* wide() const { return shared_memory<float>() + a_.shared.wide; }
  __device__ float* filtered() const { return shared_memory<float>() + a_.shared.filtered; }

  // `width` channels, from `channel` on, of the pixels of x under the tile; zeros outside of it.
  __device__ void copy_pixels(float* to, int stride, int channels, int channel, int width) const {
    for (int pixel = warp(); pixel < a_.tile.in_pixels; pixel += kWarps) {
      const std::int64_t row = place_.input_row(pixel);
      for (int c = lane(); c < width; c += kWarp) {
        const bool inside = row >= 0 && channel + c < channels;
        to[pixel * stride + c] = inside ? a_.x[row * channels + channel + c] : 0;
      }
    }
  }

  // Four pixels at a time.
  __device__ void expand(int channel) const {
    const float shift = a_.bias_of(a_.expand_bias, channel);
    for (int first = warp() * 4; first < a_.tile.in_pixels; first += kWarps * 4) {
      float sums[4] = {};
      for (int d = 0; d < a_.shared.depth; d += 4) {
        Pack<float> pixels[4];
#pragma unroll
        for (int p = 0; p < 4; ++p) pixels[p] = load_pack(x() + (first + p) * a_.shared.x_stride + d, 0);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float weight = expand_w()[(d + i) * kWideStride + lane()];
#pragma unroll
          for (int p = 0; p < 4; ++p) sums[p] = fmaf(pixels[p].lane[i], weight, sums[p]);
        }
      }
#pragma unroll
      for (int p = 0; p < 4; ++p) {
        if (first + p >= a_.tile.in_pixels) continue;
        const bool inside = place_.input_row(first + p) >= 0;
        wide()[(first + p) * kWideStride + lane()] =
            inside ? activate(a_.expand_activation, sums[p] + shift) : 0;
      }
    }
  }

  template <int kStride>
  __device__ void filter(int channel) const {
    constexpr int kWindow = BlockTile::kWindow, kReach = (kStrip - 1) * kStride + kWindow;
    const float shift = a_.bias_of(a_.depthwise_bias, channel);
    float taps[kTaps];
#pragma unroll
    for (int tap = 0; tap < kTaps; ++tap) {
      taps[tap] = channel < a_.wide ? a_.depthwise_w[tap * a_.wide + channel] : 0;
    }
    const int strips = (a_.tile.tile_w + kStrip - 1) / kStrip;
    for (int strip = warp(); strip < a_.tile.tile_h * strips; strip += kWarps) {
      const int row = strip / strips, column = strip % strips * kStrip;
      float sums[kStrip] = {};
#pragma unroll
      for (int ky = 0; ky < kWindow; ++ky) {
        const int first = (row * kStride + ky) * a_.tile.in_w + column * kStride;
        float values[kReach] = {};
#pragma unroll
        for (int i = 0; i < kReach; ++i) {
          if (column * kStride + i < a_.tile.in_w) values[i] = wide()[(first + i) * kWideStride + lane()];
        }
#pragma unroll
        for (int kx = 0; kx < kWindow; ++kx) {
#pragma unroll
          for (int i = 0; i < kStrip; ++i) {
            sums[i] = fmaf(values[i * kStride + kx], taps[ky * kWindow + kx], sums[i]);
          }
        }
      }
#pragma unroll
      for (int i = 0; i < kStrip; ++i) {
        if (column + i >= a_.tile.tile_w) continue;
        const float result = activate(a_.depthwise_activation, sums[i] + shift);
        const int pixel = row * a_.tile.tile_w + column + i;
        const std::int64_t to = place_.output_row(pixel);
        if (a_.project_w != nullptr) {
          filtered()[pixel * kWideStride + lane()] = result;
        } else if (to >= 0 && channel < a_.wide) {
          a_.finish.y[to * a_.wide + channel] = result;
        }
      }
    }
  }

  // The warp has 8 pixels, and each lane every 32nd output channel of theirs.
  __device__ void project(int chunk) {
    for (int d = 0; d < kChunk; d += 4) {
      Pack<float> pixels[kWarpPixels];
#pragma unroll
      for (int p = 0; p < kWarpPixels; ++p) {
        pixels[p] = load_pack(filtered() + (warp() * kWarpPixels + p) * kWideStride + d, 0);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const std::int64_t channel = chunk * kChunk + d + i;
        if (channel >= a_.wide) break;
#pragma unroll
        for (int j = 0; j < kColumns; ++j) {
          if (own_column(j) >= a_.out_c) continue;
          const float weight = a_.project_w[channel * a_.out_c + own_column(j)];
#pragma unroll
          for (int p = 0; p < kWarpPixels; ++p) sums_[p][j] = fmaf(pixels[p].lane[i], weight, sums_[p][j]);
        }
      }
    }
  }

  __device__ void store() const {
#pragma unroll
    for (int p = 0; p < kWarpPixels; ++p) {
      const std::int64_t row = place_.output_row(warp() * kWarpPixels + p);
      if (row < 0) continue;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        if (own_column(j) >= a_.out_c) continue;
        if (a_.partial == nullptr) {
          a_.finish.store(row, own_column(j), sums_[p][j]);
        } else {
          *place_.partial(row, own_column(j)) = sums_[p][j];
        }
      }
    }
  }

  static constexpr int kColumns = kN / kWarp;
  __device__ static int own_column(int j) { return j * kWarp + lane(); }

  const BlockArgs<float>& a_;
  const BlockPlace<float> place_;
  float sums_[kWarpPixels][kColumns] = {};
};

template <int kN>
__global__ void __launch_bounds__(kThreads) run_block(BlockArgs<float> args) {
  Block<kN>(args).run();
}

// ---- the table

// The weights of the projection, which lie last, are read from global memory.
int bytes_of(const BlockTile::Shared& shared) { return shared.project_w * static_cast<int>(sizeof(float)); }

Status run(const InvertedResidual& args, const Launch& on) {
  const auto kernel_for = [](std::int64_t outputs) { return outputs <= 64 ? run_block<64> : run_block<320>; };
  return run_blocks<float>(args, on, kernel_for, bytes_of, kThreads);
}

std::size_t workspace(const InvertedResidual& args, const Stream&) {
  return workspace_of(args, BlockTile::choose(args, bytes_of));
}

// Where shared memory leaves room for a few pixels only, single steps are faster.
bool supports(const InvertedResidual& args) {
  constexpr std::int64_t kFewPixels = 16;
  if (args.type != DType::f32 || !suits_blocks(args)) return false;
  const BlockTile tile = BlockTile::choose(args, bytes_of);
  const std::int64_t pixels = std::int64_t{tile.tile_h} * tile.tile_w;
  return pixels > 0 && pixels >= std::min(kFewPixels, args.depthwise.out_h * args.depthwise.out_w);
}

}  // namespace

void add_inverted_residual_f32_kernels(KernelTable& table) {
  table.inverted_residual.add({"inverted_residual_f32", supports, workspace, run});
}

}  // namespace pila::kernels::cuda
