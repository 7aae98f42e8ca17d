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

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// A matrix with a row for each pixel of y, and a column for each tap and channel of a group, in the order of
// the weights. Places fit into 32 bits, whose divisions are cheap.
template <class T>
struct Patches {
  const T* x;
  Window window;
  int in_h, in_w, in_c, out_h, out_w, channels, first_channel;  // the last two: of the group
  std::int64_t rows, columns;
  static constexpr std::int64_t column_step = 1;

  explicit Patches(const ConvForward& args)
      : x(static_cast<const T*>(args.x)),
        window(args.shape.window),
        in_h(static_cast<int>(args.shape.in_h)),
        in_w(static_cast<int>(args.shape.in_w)),
        in_c(static_cast<int>(args.shape.in_c)),
        out_h(static_cast<int>(args.shape.out_h)),
        out_w(static_cast<int>(args.shape.out_w)),
        channels(static_cast<int>(args.shape.in_c / args.shape.groups)),
        first_channel(0),
        rows(args.shape.batch * args.shape.out_h * args.shape.out_w),
        columns(window.kernel_h * window.kernel_w * channels) {}

  __device__ float at(std::int64_t row, std::int64_t column) const {
    if (row >= rows || column >= columns) return 0;
    const auto pixel = static_cast<int>(row), number = static_cast<int>(column);
    const int tap = number / channels, ow = pixel % out_w, oh = pixel / out_w % out_h;
    const int h = oh * window.stride_h - window.pad_top + tap / window.kernel_w * window.dilation_h;
    const int w = ow * window.stride_w - window.pad_left + tap % window.kernel_w * window.dilation_w;
    if (h < 0 || h >= in_h || w < 0 || w >= in_w) return 0;
    const int from = (pixel / (out_w * out_h) * in_h + h) * in_w + w;
    return widen(x[static_cast<std::int64_t>(from) * in_c + first_channel + number % channels]);
  }
};

template <class T>
__global__ void __launch_bounds__(FmaTile::kThreads)
    conv(Patches<T> patches, const T* w, std::int64_t width, Finish<T> finish) {
  const auto group = static_cast<int>(blockIdx.y);
  patches.first_channel = group * patches.channels;
  const Strided<T> weights{w + group * width, patches.columns, width, finish.columns, 1};
  const auto tiles = static_cast<unsigned>((width + FmaTile::kColumns - 1) / FmaTile::kColumns);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x / tiles) * FmaTile::kRows;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x % tiles) * FmaTile::kColumns;
  FmaTile tile;
  tile.multiply(patches, weights, row, column, 0, patches.columns, shared_memory<float>());
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
  return is_number(args.type) && shape.batch * shape.in_h * shape.in_w < most &&
         shape.batch * shape.out_h * shape.out_w < most;
}

}  // namespace

void add_conv_kernels(KernelTable& table) { table.conv_forward.add({"conv", supports, nullptr, run}); }

}  // namespace pila::kernels::cuda
