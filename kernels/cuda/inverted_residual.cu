// Inverted residuals of 16-bit numbers in one pass: a block of threads expands a few wide channels by tensor
// cores into shared memory, filters them there, and projects them into sums that stay in registers, so that
// the wide tensor is never stored. What lies in shared memory is rounded to the type; biases and sums are
// float32.

#include "kernels/cuda/device/tensor_tile.cuh"
#include "kernels/cuda/families.h"
#include "kernels/cuda/inverted_residual_block.cuh"

namespace pila::kernels::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;
constexpr int kChunk = BlockTile::kChunk, kStrip = BlockTile::kStrip, kTaps = 9;
constexpr int kWideStride = kChunk + BlockTile::kPad;  // of a pixel in shared memory
constexpr int kRowWarps = BlockTile::kPixels / 16, kColumnWarps = kWarps / kRowWarps;
static_assert(BlockTile::kPixels / kStrip * kChunk / 2 == kThreads,
              "each thread filters two channels of a strip");

// One block's work. kN: output channels that there is room for.
template <class T, int kN>
class Block {
 public:
  __device__ explicit Block(const BlockArgs<T>& args) : a_(args), place_(args) {}

  __device__ void run() {
    const int begin = place_.first_chunk(), end = place_.last_chunk();
    const bool expands = a_.expand_w != nullptr;
    if (expands) copy_pixels(x(), a_.shared.x_stride, a_.in_c, 0, a_.shared.depth / 8);
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
      if (a_.project_w != nullptr) {
        project();
        __syncthreads();
        if (chunk + 1 < end) copy_project_w(chunk + 1);
      }
      commit_copies();
    }
    wait_for_copies<0>();
    if (a_.project_w != nullptr) store();
  }

 private:
  __device__ static int thread() { return static_cast<int>(threadIdx.x); }
  __device__ static int warp() { return thread() / kWarpSize; }
  __device__ static int lane() { return thread() % kWarpSize; }

  // Parts of shared memory.
  __device__ static T* x() { return shared_memory<T>(); }
  __device__ T* expand_w() const { return shared_memory<T>() + a_.shared.expand_w; }
  __device__ T* wide() const { return shared_memory<T>() + a_.shared.wide; }
  __device__ T* filtered() const { return shared_memory<T>() + a_.shared.filtered; }
  __device__ T* project_w() const { return shared_memory<T>() + a_.shared.project_w; }

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
#pragma unroll 1  // registers are short where the sums are alive
    for (int i = thread(); i < a_.tile.in_pixels * chunks; i += kThreads) {
      const int pixel = i / chunks, c = i % chunks * 8;
      const std::int64_t row = place_.input_row(pixel);
      const bool inside = row >= 0 && channel + c < channels;
      copy_async(to + pixel * stride + c, inside ? a_.x + row * channels + channel + c : a_.x, inside);
    }
  }

  // Rows [row, row + rows) and columns [column, column + width) of a matrix; zeros outside of it.
  __device__ static void copy_matrix(T* to, int stride, const RowMajor<T>& from, int row, int rows,
                                     int column, int width) {
    const int chunks = width / 8;
#pragma unroll 1
    for (int i = thread(); i < rows * chunks; i += kThreads) {
      const int r = i / chunks, c = i % chunks * 8;
      const bool inside = row + r < from.rows && column + c < from.columns;
      const T* source = inside ? from.data + (row + r) * from.columns + column + c : from.data;
      copy_async(to + r * stride + c, source, inside);
    }
  }

  // What a chunk of the wide tensor is made of: weights, or x's own channels.
  __device__ void copy_wide(int chunk) const {
    if (a_.expand_w == nullptr) return copy_pixels(wide(), kWideStride, a_.wide, chunk * kChunk, kChunk / 8);
    copy_matrix(expand_w(), kWideStride, {a_.expand_w, a_.in_c, a_.wide}, 0, a_.shared.depth, chunk * kChunk,
                kChunk);
  }

  __device__ void copy_project_w(int chunk) const {
    if (a_.project_w == nullptr) return;
    copy_matrix(project_w(), a_.shared.project_stride, {a_.project_w, a_.wide, a_.out_c}, chunk * kChunk,
                kChunk, 0, a_.shared.columns);
  }

  // ---- the three steps

  __device__ void expand(int chunk) const {
    const int group = lane() / 4, pair = lane() % 4 * 2, depth = a_.shared.depth;
    for (int first = warp() * 16; first < a_.tile.in_pixels; first += kWarps * 16) {
      Sums sums[kChunk / 8] = {};
      for (int d = 0; d < depth; d += 16) {
        FragmentA pixels;
        load_matrices(pixels.part, x() + (first + lane() % 16) * a_.shared.x_stride + d + lane() / 16 * 8);
#pragma unroll
        for (int j = 0; j < kChunk / 8; j += 2) {
          unsigned part[4];
          load_transposed_matrices(part,
                                   expand_w() + (d + lane() % 16) * kWideStride + (j + lane() / 16) * 8);
          multiply_add<T>(sums[j], pixels, {{part[0], part[1]}});
          multiply_add<T>(sums[j + 1], pixels, {{part[2], part[3]}});
        }
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int pixel = first + half * 8 + group;
        if (pixel >= a_.tile.in_pixels) continue;
        const bool inside = place_.input_row(pixel) >= 0;
#pragma unroll
        for (int j = 0; j < kChunk / 8; ++j) {
          const int c = j * 8 + pair;
          unsigned result = 0;
          if (inside) {
            const float* sum = sums[j].value + half * 2;
            result = narrow_two<T>(
                activate(a_.expand_activation, sum[0] + a_.bias_of(a_.expand_bias, chunk * kChunk + c)),
                activate(a_.expand_activation, sum[1] + a_.bias_of(a_.expand_bias, chunk * kChunk + c + 1)));
          }
          two_at(wide() + pixel * kWideStride + c) = result;
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
  }

  // Two channels of a strip of neighbours in a row.
  template <int kStride>
  __device__ void filter(int chunk) const {
    constexpr int kWindow = BlockTile::kWindow, kReach = (kStrip - 1) * kStride + kWindow;
    const int strips = (a_.tile.tile_w + kStrip - 1) / kStrip, strip = thread() / (kChunk / 2);
    const int row = strip / strips, column = strip % strips * kStrip;
    if (row >= a_.tile.tile_h) return;
    const int channel = chunk * kChunk + own_channel();
    const Two shift = {a_.bias_of(a_.depthwise_bias, channel), a_.bias_of(a_.depthwise_bias, channel + 1)};
    Two sums[kStrip] = {};
#pragma unroll
    for (int ky = 0; ky < kWindow; ++ky) {
      const int first = (row * kStride + ky) * a_.tile.in_w + column * kStride;
      Two values[kReach] = {};
#pragma unroll
      for (int i = 0; i < kReach; ++i) {
        if (column * kStride + i >= a_.tile.in_w) continue;
        values[i] = widen_two<T>(two_at(wide() + (first + i) * kWideStride + own_channel()));
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
      const unsigned result = narrow_two<T>(activate(a_.depthwise_activation, sums[i].first + shift.first),
                                            activate(a_.depthwise_activation, sums[i].second + shift.second));
      const int pixel = row * a_.tile.tile_w + column + i;
      if (a_.project_w != nullptr) {
        two_at(filtered() + pixel * kWideStride + own_channel()) = result;
        continue;
      }
      const std::int64_t to = place_.output_row(pixel);
      if (to >= 0 && channel < a_.wide) two_at(a_.finish.y + to * a_.wide + channel) = result;
    }
  }

  // The warp has 16 pixels, and every second group of 16 output channels.
  __device__ void project() {
#pragma unroll
    for (int d = 0; d < kChunk; d += 16) {
      FragmentA pixels;
      load_matrices(pixels.part,
                    filtered() + (own_pixel() + lane() % 16) * kWideStride + d + lane() / 16 * 8);
#pragma unroll
      for (int i = 0; i < kGroups; ++i) {
        if (own_column(i) >= a_.out_c) continue;
        unsigned part[4];
        load_transposed_matrices(part, project_w() + (d + lane() % 16) * a_.shared.project_stride +
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
      const int column = own_column(i) + lane() % 2 * 8;
      const std::int64_t row = place_.output_row(own_pixel() + lane() / 2);
      if (row >= 0 && column < a_.out_c) {
        store_sums(row, column, own + lane() / 2 * kStride + lane() % 2 * 8);
      }
      __syncwarp();
    }
  }

  __device__ void store_sums(std::int64_t row, int column, const float* from) const {
    const Pack<float> sums[2] = {load_pack(from, 0), load_pack(from, 1)};
    if (a_.partial == nullptr) return a_.finish.store_sums(row, column, sums[0].lane);
    store_pack(place_.partial(row, column), 0, sums[0]);
    store_pack(place_.partial(row, column), 1, sums[1]);
  }

  // ---- places

  static constexpr int kGroups = kN / 16 / kColumnWarps;

  __device__ static int own_pixel() { return warp() % kRowWarps * 16; }
  __device__ static int own_column(int i) { return (i * kColumnWarps + warp() / kRowWarps) * 16; }

  const BlockArgs<T>& a_;
  const BlockPlace<T> place_;
  unsigned taps_[kTaps];
  Sums sums_[kGroups][2] = {};
};

template <class T, int kN>
__global__ void __launch_bounds__(kThreads, kN <= 160 ? 2 : 1) run_block(BlockArgs<T> args) {
  Block<T, kN>(args).run();
}

// ---- the table

int bytes_of(const BlockTile::Shared& shared) {
  constexpr int kStaging = kWarps * 16 * 20 * static_cast<int>(sizeof(float));
  return std::max(shared.size * 2, kStaging);
}

template <class T>
Status run(const InvertedResidual& args, const Launch& on) {
  const auto kernel_for = [](std::int64_t outputs) {
    return outputs <= 160 ? run_block<T, 160> : run_block<T, 320>;
  };
  return run_blocks<T>(args, on, kernel_for, bytes_of, kThreads);
}

std::size_t workspace(const InvertedResidual& args, const Stream&) {
  return workspace_of(args, BlockTile::choose(args, bytes_of));
}

bool supports(const InvertedResidual& args) {
  const bool aligned = is_pack_aligned(args.x) && is_pack_aligned(args.expand.w) &&
                       is_pack_aligned(args.depthwise_w) && is_pack_aligned(args.project.w) &&
                       is_pack_aligned(args.project.bias) && is_pack_aligned(args.residual) &&
                       is_pack_aligned(args.y);
  return (args.type == DType::f16 || args.type == DType::bf16) && suits_blocks(args) && aligned &&
         args.in_c % 8 == 0 && args.depthwise.in_c % 8 == 0 && args.out_c % 8 == 0 &&
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
