// Convolution by any window as a product: row for row, what the window covers of x, which is never written
// down, times the weights.

#include "kernels/args/conv.h"

#include "kernels/cuda/device/finish.cuh"
#include "kernels/cuda/device/fma_tile.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

// A matrix with a row for each pixel of y, and a column for each tap and channel of a group, in the order of
// the weights. Places fit into 32 bits, whose divisions are cheap.
template <class T>
struct Patches {
  explicit Patches(const ConvForward& args)
      : x(static_cast<const T*>(args.x)),
        window(args.shape.window),
        in_h(static_cast<int>(args.shape.in_h)),
        in_w(static_cast<int>(args.shape.in_w)),
        in_c(static_cast<int>(args.shape.in_c)),
        out_h(static_cast<int>(args.shape.out_h)),
        out_w(static_cast<int>(args.shape.out_w)),
        channels(static_cast<int>(args.shape.in_c / args.shape.groups)),
        rows(static_cast<int>(args.shape.batch) * out_h * out_w),
        columns(window.kernel_h * window.kernel_w * channels) {}

  const T* x;
  Window window;
  int in_h, in_w, in_c, out_h, out_w;
  int channels;  // of a group
  int rows, columns;
};

// One thread's numbers of the patches' tiles (see FmaTile::Loader): one column, of several rows.
template <class T>
class PatchLoader {
 public:
  __device__ PatchLoader(const Patches<T>& patches, int group, int row)
      : p_(patches), first_channel_(group * patches.channels), column_(thread() % FmaTile::kDepth) {
#pragma unroll
    for (int i = 0; i < FmaTile::kLoads; ++i) {
      const int pixel = row + other(i);
      const int oh = pixel / p_.out_w % p_.out_h, ow = pixel % p_.out_w;
      image_[i] = pixel < p_.rows ? pixel / (p_.out_w * p_.out_h) : -1;
      top_[i] = oh * p_.window.stride_h - p_.window.pad_top;
      left_[i] = ow * p_.window.stride_w - p_.window.pad_left;
    }
  }

  __device__ void load(std::int64_t) {
    const int tap = column_ / p_.channels, channel = first_channel_ + column_ % p_.channels;
    const int down = tap / p_.window.kernel_w * p_.window.dilation_h;
    const int across = tap % p_.window.kernel_w * p_.window.dilation_w;
#pragma unroll
    for (int i = 0; i < FmaTile::kLoads; ++i) {
      const int h = top_[i] + down, w = left_[i] + across;
      const bool inside =
          column_ < p_.columns && image_[i] >= 0 && h >= 0 && h < p_.in_h && w >= 0 && w < p_.in_w;
      const std::int64_t pixel = (image_[i] * p_.in_h + h) * p_.in_w + w;
      numbers_[i] = inside ? widen(p_.x[pixel * p_.in_c + channel]) : 0.0f;
    }
    column_ += FmaTile::kDepth;
  }

  __device__ void store(float* tile) const {
    float* to = tile + thread() % FmaTile::kDepth * FmaTile::kStride;
#pragma unroll
    for (int i = 0; i < FmaTile::kLoads; ++i) to[other(i)] = numbers_[i];
  }

 private:
  __device__ static int thread() { return static_cast<int>(threadIdx.x); }
  __device__ static int other(int i) {
    return thread() / FmaTile::kDepth + i * (FmaTile::kThreads / FmaTile::kDepth);
  }

  const Patches<T>& p_;
  const int first_channel_;
  int column_;
  int image_[FmaTile::kLoads], top_[FmaTile::kLoads], left_[FmaTile::kLoads];
  float numbers_[FmaTile::kLoads];
};

// `width`: channels of y in a group.
template <class T>
__global__ void __launch_bounds__(FmaTile::kThreads, 4)
    conv(Patches<T> patches, const T* w, std::int64_t width, Finish<T> finish) {
  const auto group = static_cast<int>(blockIdx.y);
  const auto tiles = static_cast<unsigned>((width + FmaTile::kColumns - 1) / FmaTile::kColumns);
  const int row = static_cast<int>(blockIdx.x / tiles) * FmaTile::kRows;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x % tiles) * FmaTile::kColumns;
  const Factor<T> weights{w + group * width, width, 1, finish.columns};
  FmaTile tile;
  tile.multiply(PatchLoader<T>(patches, group, row), FmaTile::Loader<T>(weights, column, 0), patches.columns,
                shared_memory<float>());
  tile.for_sums(shared_memory<float>(), [&](int r, int c, float sum) {
    if (row + r < patches.rows && column + c < width) finish.store(row + r, group * width + column + c, sum);
  });
}

template <class T>
Status run_as(const ConvForward& args, const Launch& on) {
  const ConvShape& shape = args.shape;
  const std::int64_t pixels = shape.batch * shape.out_h * shape.out_w;
  if (pixels == 0 || shape.out_c == 0) return nullptr;
  const std::int64_t tiles =
      ceil_div(pixels, FmaTile::kRows) * ceil_div(shape.out_c / shape.groups, FmaTile::kColumns);
  const Grid grid{dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(shape.groups)),
                  dim3(FmaTile::kThreads), FmaTile::kSharedSize * sizeof(float)};
  return launch(conv<T>, grid, on, Patches<T>(args), static_cast<const T*>(args.w),
                shape.out_c / shape.groups, Finish<T>(args.y, shape.out_c, args.epilogue));
}

Status run(const ConvForward& args, const Launch& on) {
  return with_number(args.type, [&](auto number) { return run_as<decltype(number)>(args, on); });
}

bool supports(const ConvForward& args) {
  const ConvShape& shape = args.shape;
  const std::int64_t most = std::int64_t{1} << 31;
  return is_number(args.type) && may_stay(args.type, args.rounding) &&
         shape.batch * shape.in_h * shape.in_w < most && shape.batch * shape.out_h * shape.out_w < most;
}

}  // namespace

void add_conv_kernels(KernelTable& table) { table.conv_forward.add({"conv", supports, nullptr, run}); }

}  // namespace pila::kernels::cuda
