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
// the weights.
template <class T>
struct Patches {
  const T* x;
  ConvShape shape;
  std::int64_t channels, first_channel;  // of the group
  std::int64_t rows, columns;
  static constexpr std::int64_t column_step = 1;

  __device__ float at(std::int64_t row, std::int64_t column) const {
    if (row >= rows || column >= columns) return 0;
    const Window& window = shape.window;
    const std::int64_t tap = column / channels;
    const std::int64_t ow = row % shape.out_w, oh = row / shape.out_w % shape.out_h;
    const std::int64_t image = row / (shape.out_w * shape.out_h);
    const std::int64_t h = oh * window.stride_h - window.pad_top + tap / window.kernel_w * window.dilation_h;
    const std::int64_t w = ow * window.stride_w - window.pad_left + tap % window.kernel_w * window.dilation_w;
    if (h < 0 || h >= shape.in_h || w < 0 || w >= shape.in_w) return 0;
    const std::int64_t pixel = (image * shape.in_h + h) * shape.in_w + w;
    return widen(x[pixel * shape.in_c + first_channel + column % channels]);
  }
};

template <class T>
__global__ void __launch_bounds__(FmaTile::kThreads) conv(ConvForward args, Finish<T> finish) {
  const ConvShape& shape = args.shape;
  const std::int64_t taps = shape.window.kernel_h * shape.window.kernel_w;
  const std::int64_t channels = shape.in_c / shape.groups, width = shape.out_c / shape.groups;
  const std::int64_t group = blockIdx.y;
  const Patches<T> patches{
      static_cast<const T*>(args.x),           shape,          channels, group * channels,
      shape.batch * shape.out_h * shape.out_w, taps * channels};
  const Strided<T> weights{static_cast<const T*>(args.w) + group * width, patches.columns, width, shape.out_c,
                           1};
  const auto tiles = static_cast<unsigned>((width + FmaTile::kColumns - 1) / FmaTile::kColumns);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x / tiles) * FmaTile::kRows;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x % tiles) * FmaTile::kColumns;
  FmaTile tile;
  tile.multiply(patches, weights, row, column, 0, patches.columns, shared_memory<float>());
#pragma unroll
  for (int i = 0; i < FmaTile::kThreadRows; ++i) {
#pragma unroll
    for (int j = 0; j < FmaTile::kThreadColumns; ++j) {
      const std::int64_t r = row + FmaTile::row_of(i), c = column + FmaTile::column_of(j);
      if (r < patches.rows && c < width) finish.store(r, group * width + c, tile.sums[i][j]);
    }
  }
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
  return launch(conv<T>, grid, on, args, Finish<T>(args.y, shape.out_c, args.epilogue));
}

Status run(const ConvForward& args, const Launch& on) {
  return with_number(args.type, [&](auto number) { return run_as<decltype(number)>(args, on); });
}

}  // namespace

void add_conv_kernels(KernelTable& table) {
  table.conv_forward.add({"conv", is_of_numbers<ConvForward>, nullptr, run});
}

}  // namespace pila::kernels::cuda
