// A pointwise convolution and the mean of its pixels: a block makes some columns of one image's means, adding
// up pixels in a fixed order, so that the product itself is never stored.

#include "kernels/args/matmul.h"
#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/fma_tile.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/tensor_product.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

template <class T>
struct Pooling {
  std::int64_t rows, columns, depth;
  const T* a;
  const T* b;
  const float* bias;  // or null
  Activation activation;
  T* c;

  explicit Pooling(const PooledMatmul& args)
      : rows(args.rows),
        columns(args.n),
        depth(args.k),
        a(static_cast<const T*>(args.a)),
        b(static_cast<const T*>(args.b)),
        bias(static_cast<const float*>(args.bias)),
        activation(args.activation),
        c(static_cast<T*>(args.c)) {}

  __device__ float finish(std::int64_t column, float sum) const {
    return activate(activation, bias == nullptr || column >= columns ? sum : sum + bias[column]);
  }

  // Adds kParts numbers of each of the block's columns, which are kWidth, and stores the means.
  template <int kParts, int kWidth>
  __device__ void store_means(const float* parts, std::int64_t image, std::int64_t column) const {
    const auto thread = static_cast<int>(threadIdx.x);
    if (thread >= kWidth || column + thread >= columns) return;
    float sum = 0;
    for (int part = 0; part < kParts; ++part) sum += parts[part * kWidth + thread];
    c[image * columns + column + thread] = narrow<T>(sum / static_cast<float>(rows));
  }
};

// ---- tensor cores

using Shape = TensorShape<64, 32, 4, 1, 1, 4>;

template <class T>
__global__ void __launch_bounds__(Shape::kThreads, 4) pool_by_tensor_cores(Pooling<T> args) {
  constexpr int kFragments = Shape::kN / 8;
  const std::int64_t image = blockIdx.y, column = static_cast<std::int64_t>(blockIdx.x) * Shape::kN;
  const RowMajor<T> a{args.a + image * args.rows * args.depth, args.rows, args.depth};
  const RowMajor<T> b{args.b, args.depth, args.columns};
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int group = lane / 4, pair = lane % 4 * 2;
  float totals[kFragments][2] = {};
  for (std::int64_t row = 0; row < args.rows; row += Shape::kM) {
    TensorProduct<T, Shape> product;
    product.multiply(a, b, row, column, 0, args.depth);
    const std::int64_t first = row + product.warp_row() + group;
#pragma unroll
    for (int j = 0; j < kFragments; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float value = args.finish(column + j * 8 + pair + i % 2, product.sums[0][j].value[i]);
        if (first + i / 2 * 8 < args.rows) totals[j][i % 2] += value;
      }
    }
  }
  auto* const parts = shared_memory<float>();
#pragma unroll
  for (int j = 0; j < kFragments; ++j) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float sum = totals[j][i];
      for (int flipped = 4; flipped < kWarpSize; flipped *= 2) {
        sum += __shfl_xor_sync(0xFFFFFFFFu, sum, flipped);
      }
      if (group == 0) parts[threadIdx.x / kWarpSize * Shape::kN + j * 8 + pair + i] = sum;
    }
  }
  __syncthreads();
  args.template store_means<Shape::kWarpsM, Shape::kN>(parts, image, column);
}

// ---- plain float32

template <class T>
__global__ void __launch_bounds__(FmaTile::kThreads, 4) pool_by_fma(Pooling<T> args) {
  constexpr int kParts = FmaTile::kRows / FmaTile::kThreadRows;
  const std::int64_t image = blockIdx.y, column = static_cast<std::int64_t>(blockIdx.x) * FmaTile::kColumns;
  const Factor<T> a{args.a + image * args.rows * args.depth, args.rows, args.depth, 1};
  const Factor<T> b{args.b, args.columns, 1, args.columns};
  auto* const memory = shared_memory<float>();
  float totals[FmaTile::kThreadColumns] = {};
  for (std::int64_t row = 0; row < args.rows; row += FmaTile::kRows) {
    FmaTile tile;
    tile.multiply(a, b, row, column, 0, args.depth, memory);
    __syncthreads();
#pragma unroll
    for (int j = 0; j < FmaTile::kThreadColumns; ++j) {
#pragma unroll
      for (int i = 0; i < FmaTile::kThreadRows; ++i) {
        const float value = args.finish(column + FmaTile::column_of(j), tile.sums[i][j]);
        if (row + FmaTile::row_of(i) < args.rows) totals[j] += value;
      }
    }
  }
  for (int j = 0; j < FmaTile::kThreadColumns; ++j) {
    memory[FmaTile::row_of(0) / FmaTile::kThreadRows * FmaTile::kColumns + FmaTile::column_of(j)] = totals[j];
  }
  __syncthreads();
  args.template store_means<kParts, FmaTile::kColumns>(memory, image, column);
}

// ---- the table

constexpr std::int64_t kMostImages = 65535;  // a grid's blockIdx.y

bool fits(const PooledMatmul& args) { return args.batch <= kMostImages && args.rows > 0; }

dim3 blocks(const PooledMatmul& args, int width) {
  return dim3(static_cast<unsigned>((args.n + width - 1) / width), static_cast<unsigned>(args.batch));
}

template <class T>
Status run_tensor_cores(const PooledMatmul& args, const Launch& on) {
  if (args.batch == 0 || args.n == 0) return nullptr;
  return launch(pool_by_tensor_cores<T>,
                {blocks(args, Shape::kN), dim3(Shape::kThreads), Shape::kSharedBytes}, on, Pooling<T>(args));
}

bool supports_tensor_cores(const PooledMatmul& args) {
  const std::int64_t lanes = 16 / static_cast<std::int64_t>(size_of(args.type));
  return fits(args) && tensor_cores_multiply(args.type, args.rounding.to) && args.n % lanes == 0 &&
         args.k % lanes == 0 && args.k > 0 && is_pack_aligned(args.a) && is_pack_aligned(args.b);
}

template <DType kType, class T>
Kernel<PooledMatmul> fma_kernel(const char* name) {
  const auto supports = [](const PooledMatmul& args) {
    return fits(args) && args.type == kType && may_stay(args.type, args.rounding.to);
  };
  const auto run = [](const PooledMatmul& args, const Launch& on) -> Status {
    if (args.batch == 0 || args.n == 0) return nullptr;
    const Grid grid{blocks(args, FmaTile::kColumns), dim3(FmaTile::kThreads),
                    FmaTile::kSharedSize * sizeof(float)};
    return launch(pool_by_fma<T>, grid, on, Pooling<T>(args));
  };
  return {name, supports, nullptr, run};
}

}  // namespace

void add_pooled_matmul_kernels(KernelTable& table) {
  table.pooled_matmul.add({"pooled_matmul_tensor_cores", supports_tensor_cores, nullptr,
                           [](const PooledMatmul& args, const Launch& on) {
                             return with_number(args.type, [&](auto number) {
                               return run_tensor_cores<decltype(number)>(args, on);
                             });
                           }});
  table.pooled_matmul.add(fma_kernel<DType::f32, float>("pooled_matmul_f32"));
  table.pooled_matmul.add(fma_kernel<DType::f16, Float16>("pooled_matmul_f16"));
  table.pooled_matmul.add(fma_kernel<DType::bf16, BFloat16>("pooled_matmul_bf16"));
}

}  // namespace pila::kernels::cuda
