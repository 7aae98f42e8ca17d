// Sums along an axis, in an order that depends on the shape alone, and their transposes. Those of few rows
// are added in float64, in the order of rows.

#include "kernels/args/reduce.h"

#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// A block adds up `width` neighbouring columns, a power of two: `width` threads stand side by side, and those
// behind them take every (kThreads / width)-th row.
template <class T>
__global__ void __launch_bounds__(kThreads) add_rows(Reduce args, int width) {
  const std::int64_t blocks_of_image = (args.inner + width - 1) / width;
  const std::int64_t image = blockIdx.x / blocks_of_image;
  const int thread = static_cast<int>(threadIdx.x), across = thread % width, down = thread / width;
  const std::int64_t column = blockIdx.x % blocks_of_image * width + across;
  const T* x = static_cast<const T*>(args.x) + image * args.reduced * args.inner + column;
  float sum = 0;
  if (column < args.inner) {
    for (std::int64_t r = down; r < args.reduced; r += kThreads / width) sum += widen(x[r * args.inner]);
  }
  auto* sums = shared_memory<float>();
  sums[thread] = sum;
  for (int half = kThreads / 2; half >= width; half /= 2) {
    __syncthreads();
    if (thread < half) sums[thread] += sums[thread + half];
  }
  if (down != 0 || column >= args.inner) return;
  const float divisor = args.kind == ReduceKind::mean ? static_cast<float>(args.reduced) : 1.0f;
  static_cast<T*>(args.y)[image * args.inner + column] = narrow<T>(sums[across] / divisor);
}

Status run_reduce(const Reduce& args, const Launch& on) {
  if (args.outer == 0 || args.inner == 0) return nullptr;
  int width = 1;
  while (width < 32 && width < args.inner) width *= 2;
  const std::int64_t blocks = args.outer * ((args.inner + width - 1) / width);
  const Grid grid{dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kThreads * sizeof(float)};
  return with_number(args.type,
                     [&](auto number) { return launch(add_rows<decltype(number)>, grid, on, args, width); });
}

// A thread adds up a column.
struct AddFewRows {
  Reduce args;
  __device__ void operator()(std::int64_t column) const {
    const float* x = static_cast<const float*>(args.x) + column;
    double sum = 0;
    for (std::int64_t r = 0; r < args.reduced; ++r) sum += static_cast<double>(x[r * args.inner]);
    static_cast<float*>(args.y)[column] = static_cast<float>(sum);
  }
};

// Such as the values of all ranks that train together.
bool has_few_rows(const Reduce& args) {
  return args.type == DType::f32 && args.kind == ReduceKind::sum && args.outer == 1 && args.reduced <= 256;
}

Status run_reduce_few_rows(const Reduce& args, const Launch& on) {
  return for_each(on, args.inner, AddFewRows{args});
}

template <class T>
struct RepeatNumber {
  Repeat args;
  float scale;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t outer = i / (args.repeated * args.inner);
    const float x = widen(static_cast<const T*>(args.x)[outer * args.inner + i % args.inner]);
    static_cast<T*>(args.y)[i] = narrow<T>(x * scale);
  }
};

Status run_repeat(const Repeat& args, const Launch& on) {
  return with_number(args.type, [&](auto number) {
    return for_each(on, args.outer * args.repeated * args.inner,
                    RepeatNumber<decltype(number)>{args, static_cast<float>(args.scale)});
  });
}

}  // namespace

void add_reduce_kernels(KernelTable& table) {
  table.reduce.add({"reduce_few_rows", has_few_rows, nullptr, run_reduce_few_rows});
  table.reduce.add({"reduce", is_of_numbers<Reduce>, nullptr, run_reduce});
  table.repeat.add({"repeat", is_of_numbers<Repeat>, nullptr, run_repeat});
}

}  // namespace pila::kernels::cuda
