// Matrix products: by tensor cores for 16-bit numbers whose rows begin at multiples of 16 bytes, and in plain
// float32 for all others. Biases and sums are float32; results are rounded once.

#include "kernels/args/matmul.h"

#include <algorithm>

#include "kernels/cuda/device/add_parts.cuh"
#include "kernels/cuda/device/finish.cuh"
#include "kernels/cuda/device/fma_tile.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/tensor_product.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

// ---- tensor cores

// Blocks whose number follows on another share rows of a, which are large: the second finds them in the
// cache.
template <class T, class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 512 / Shape::kThreads)
    product_by_tensor_cores(RowMajor<T> a, RowMajor<T> b, Finish<T> finish) {
  const auto columns = static_cast<unsigned>((b.columns + Shape::kN - 1) / Shape::kN);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x / columns) * Shape::kM;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x % columns) * Shape::kN;
  TensorProduct<T, Shape> product;
  product.multiply(a, b, row, column);
  product.for_sums([&](int r, int c, const float* sums) {
    if (row + r < a.rows && column + c < b.columns) finish.store_sums(row + r, column + c, sums);
  });
}

template <class T, class Shape>
Status run_shape(const Matmul& args, const Launch& on) {
  const std::int64_t blocks = ceil_div(args.m, Shape::kM) * ceil_div(args.n, Shape::kN);
  const Grid grid{dim3(static_cast<unsigned>(blocks)), dim3(Shape::kThreads), Shape::kSharedBytes};
  return launch(
      product_by_tensor_cores<T, Shape>, grid, on, RowMajor<T>{static_cast<const T*>(args.a), args.m, args.k},
      RowMajor<T>{static_cast<const T*>(args.b), args.k, args.n}, Finish<T>(args.c, args.n, args.epilogue));
}

using Square = TensorShape<128, 128, 4, 2, 1, 3>;
using Tall = TensorShape<128, 64, 4, 1, 1, 4>;
using Narrow = TensorShape<128, 32, 4, 1, 1, 4>;
using Small = TensorShape<64, 64, 2, 2, 1, 4>;
using Few = TensorShape<16, 32, 1, 1, 8, 2>;  // its warps share the depth, for products of few rows

template <class Shape>
bool keeps_a_gpu_busy(const Matmul& args) {
  constexpr std::int64_t kBusy = 96;
  return ceil_div(args.m, Shape::kM) * ceil_div(args.n, Shape::kN) >= kBusy;
}

// The largest tiles that leave work for all processors and few columns idle.
template <class T>
Status run_tensor_cores(const Matmul& args, const Launch& on) {
  if (args.m == 0 || args.n == 0) return nullptr;
  const bool wide = ceil_div(args.n, Square::kN) * Square::kN <= ceil_div(args.n, Tall::kN) * Tall::kN;
  if (args.n <= Narrow::kN) {
    if (keeps_a_gpu_busy<Narrow>(args)) return run_shape<T, Narrow>(args, on);
  } else if (wide && keeps_a_gpu_busy<Square>(args)) {
    return run_shape<T, Square>(args, on);
  } else if (keeps_a_gpu_busy<Tall>(args)) {
    return run_shape<T, Tall>(args, on);
  } else if (keeps_a_gpu_busy<Small>(args)) {
    return run_shape<T, Small>(args, on);
  }
  return run_shape<T, Few>(args, on);
}

bool supports_tensor_cores(const Matmul& args) {
  return (args.type == DType::f16 || args.type == DType::bf16) && args.rounding.to == Precision::f32 &&
         !args.transpose_a && !args.transpose_b && args.n % 8 == 0 && args.k % 8 == 0 && args.k > 0 &&
         is_pack_aligned(args.a) && is_pack_aligned(args.b) && is_pack_aligned(args.c) &&
         is_pack_aligned(args.epilogue.bias) && is_pack_aligned(args.epilogue.residual);
}

// ---- plain float32

// How the depth of a product of few tiles is cut up, so that there are more blocks.
struct Split {
  explicit Split(const Matmul& args) {
    constexpr std::int64_t kBusy = 96, kLeastDepth = 256, kMostParts = 64;
    const std::int64_t tiles = ceil_div(args.m, FmaTile::kRows) * ceil_div(args.n, FmaTile::kColumns);
    const std::int64_t wanted = tiles == 0 ? 1 : ceil_div(kBusy, tiles);
    parts = std::max<std::int64_t>(1, std::min({wanted, args.k / kLeastDepth, kMostParts}));
    depth = ceil_div(args.k, parts);
  }
  std::int64_t parts, depth;
};

// Writes finished numbers, or, where the depth is cut, sums to part blockIdx.y of `partial`.
template <class T>
__global__ void __launch_bounds__(FmaTile::kThreads, 4)
    product_by_fma(Factor<T> a, Factor<T> b, std::int64_t depth, std::int64_t split_depth, float* partial,
                   Finish<T> finish) {
  const auto columns = static_cast<unsigned>((b.others + FmaTile::kColumns - 1) / FmaTile::kColumns);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x / columns) * FmaTile::kRows;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x % columns) * FmaTile::kColumns;
  const std::int64_t begin = blockIdx.y * split_depth;
  const std::int64_t end = begin + split_depth < depth ? begin + split_depth : depth;
  FmaTile tile;
  tile.multiply(a, b, row, column, begin, end, shared_memory<float>());
  tile.for_sums(shared_memory<float>(), [&](int i, int j, float sum) {
    const std::int64_t r = row + i, c = column + j;
    if (r >= a.others || c >= b.others) return;
    if (partial == nullptr) {
      finish.store(r, c, sum);
    } else {
      partial[(blockIdx.y * a.others + r) * b.others + c] = sum;
    }
  });
}

template <class T>
Status run_fma(const Matmul& args, const Launch& on) {
  if (args.m == 0 || args.n == 0) return nullptr;
  const Split split(args);
  const std::int64_t tiles = ceil_div(args.m, FmaTile::kRows) * ceil_div(args.n, FmaTile::kColumns);
  const Grid grid{dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(split.parts)),
                  dim3(FmaTile::kThreads), FmaTile::kSharedSize * sizeof(float)};
  const Factor<T> a{static_cast<const T*>(args.a), args.m, args.transpose_a ? 1 : args.k,
                    args.transpose_a ? args.m : 1};
  const Factor<T> b{static_cast<const T*>(args.b), args.n, args.transpose_b ? args.k : 1,
                    args.transpose_b ? 1 : args.n};
  float* partial = split.parts > 1 ? static_cast<float*>(on.workspace) : nullptr;
  const Finish<T> finish(args.c, args.n, args.epilogue);
  const Status status = launch(product_by_fma<T>, grid, on, a, b, args.k, split.depth, partial, finish);
  if (status != nullptr || partial == nullptr) return status;
  return run_add_parts(args.m * args.n, split.parts, partial, finish, on);
}

std::size_t fma_workspace(const Matmul& args, const Stream&) {
  const Split split(args);
  return split.parts == 1 ? 0 : static_cast<std::size_t>(split.parts * args.m * args.n) * sizeof(float);
}

template <DType kType, class T>
Kernel<Matmul> fma_kernel(const char* name) {
  const auto supports = [](const Matmul& args) {
    return args.type == kType && args.rounding.to == Precision::f32;
  };
  return {name, supports, fma_workspace, run_fma<T>};
}

}  // namespace

void add_matmul_kernels(KernelTable& table) {
  table.matmul.add(
      {"matmul_tensor_cores", supports_tensor_cores, nullptr, [](const Matmul& args, const Launch& on) {
         return args.type == DType::f16 ? run_tensor_cores<Float16>(args, on)
                                        : run_tensor_cores<BFloat16>(args, on);
       }});
  table.matmul.add(fma_kernel<DType::f32, float>("matmul_f32"));
  table.matmul.add(fma_kernel<DType::f16, Float16>("matmul_f16"));
  table.matmul.add(fma_kernel<DType::bf16, BFloat16>("matmul_bf16"));
}

}  // namespace pila::kernels::cuda
