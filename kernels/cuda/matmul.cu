// Matrix products: by tensor cores where rows begin at multiples of 16 bytes, for 16-bit numbers and for
// float32 that may be rounded; in plain float32 for all others. Biases and sums are float32; results are
// rounded once.

#include "kernels/args/matmul.h"

#include <algorithm>
#include <type_traits>

#include "kernels/cuda/device/add_parts.cuh"
#include "kernels/cuda/device/finish.cuh"
#include "kernels/cuda/device/fma_tile.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/product_end.cuh"
#include "kernels/cuda/device/prologue.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"
#include "kernels/cuda/tune.h"

namespace pila::kernels::cuda {
namespace {

// ---- tensor cores

template <class T, class Shape, bool kTransposeA, bool kTransposeB, class Reading>
__global__ void __launch_bounds__(Shape::kThreads, 512 / Shape::kThreads)
    product_by_tensor_cores(RowMajor<T> a, RowMajor<T> b, Reading reading, std::int64_t depth,
                            std::int64_t depth_of_part, ProductEnd<T> end) {
  const ProductBlock<Shape> block(end.columns, depth, depth_of_part);
  TensorProduct<T, Shape, kTransposeA, kTransposeB> product;
  product.multiply(a, b, block.row, block.column, block.begin, block.end, reading);
  product.for_sums(
      [&](int r, int c, const float* sums) { end.store(block.row + r, block.column + c, sums); });
}

ProductSize extents_of(const Matmul& args) { return {args.m, args.n, args.k}; }

// Whether there are kernels of all tiles: others are compiled for two.
bool takes_any_tile(const Matmul& args) {
  return !args.transpose_a && !args.transpose_b && args.prologue.scaling == nullptr;
}

ProductKind kind_of(const Matmul& args, const Stream& stream) {
  return {architecture_of(stream), static_cast<int>(size_of(args.type)), args.transpose_a, args.transpose_b};
}

// What was measured holds for products whose factors are read as they are.
ProductCut cut_of(const Matmul& args, const Stream& stream) {
  const ProductCutter cutter(extents_of(args));
  if (args.prologue.scaling != nullptr) return cutter.between_two();
  if (const TunedCut* tuned = find_tuned(kTunedCuts, kind_of(args, stream), extents_of(args))) {
    return cutter.by(tuned->tile, tuned->parts);
  }
  return takes_any_tile(args) ? cutter.among_all() : cutter.between_two();
}

template <class T, class Shape, bool kTransposeA, bool kTransposeB, class Reading>
Status run_shape(const Matmul& args, const Reading& reading, const ProductCut& cut, const Launch& on) {
  const auto matrix = [](const void* data, std::int64_t rows, std::int64_t columns, bool transposed) {
    return RowMajor<T>{static_cast<const T*>(data), transposed ? columns : rows, transposed ? rows : columns};
  };
  return run_product<Shape>(product_by_tensor_cores<T, Shape, kTransposeA, kTransposeB, Reading>,
                            extents_of(args), cut, Finish<T>(args.c, args.n, args.epilogue), on,
                            matrix(args.a, args.m, args.k, kTransposeA),
                            matrix(args.b, args.k, args.n, kTransposeB), reading, args.k, cut.depth);
}

std::int64_t columns_of_a(const Matmul& args) { return args.transpose_a ? args.m : args.k; }

template <class T>
Status run_tensor_cores(const Matmul& args, const ProductCut& cut, const Launch& on) {
  if (takes_any_tile(args)) {
    return with_any_shape<T>(cut.tile, [&](auto shape) {
      return run_shape<T, decltype(shape), false, false>(args, AsStored(), cut, on);
    });
  }
  if (args.prologue.scaling == nullptr) {
    return with_shape_of_two<T>(cut.tile, [&](auto shape) {
      using Shape = decltype(shape);
      return args.transpose_a ? run_shape<T, Shape, true, false>(args, AsStored(), cut, on)
                              : run_shape<T, Shape, false, true>(args, AsStored(), cut, on);
    });
  }
  // Normalising takes registers, as TF32's fragments do: its shapes leave some.
  return with_shape_of_two<float>(cut.tile, [&](auto shape) {
    using Shape = decltype(shape);
    const Normalised reading(args.prologue, columns_of_a(args));
    return args.transpose_a ? run_shape<T, Shape, true, false>(args, reading, cut, on)
                            : run_shape<T, Shape, false, false>(args, reading, cut, on);
  });
}

bool supports_tensor_cores(const Matmul& args) {
  const std::int64_t lanes = 16 / static_cast<std::int64_t>(size_of(args.type));
  const bool may_transpose_b = !args.transpose_a && args.prologue.scaling == nullptr;
  const std::int64_t b_columns = args.transpose_b ? args.k : args.n;
  return tensor_cores_multiply(args.type, args.rounding.to) && (may_transpose_b || !args.transpose_b) &&
         columns_of_a(args) % lanes == 0 && b_columns % lanes == 0 && args.n % lanes == 0 && args.k > 0 &&
         is_pack_aligned(args.a) && is_pack_aligned(args.b) && is_pack_aligned(args.c) &&
         is_pack_aligned(args.prologue.scaling) && is_pack_aligned(args.epilogue.bias) &&
         is_pack_aligned(args.epilogue.residual);
}

std::size_t tensor_cores_workspace(const Matmul& args, const Stream& stream) {
  return workspace_of(args, cut_of(args, stream));
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
template <class T, class Reading>
__global__ void __launch_bounds__(FmaTile::kThreads, 4)
    product_by_fma(Factor<T> a, Factor<T> b, Reading reading, bool channels_along_depth, std::int64_t depth,
                   std::int64_t split_depth, float* partial, Finish<T> finish) {
  const auto columns = static_cast<unsigned>((b.others + FmaTile::kColumns - 1) / FmaTile::kColumns);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x / columns) * FmaTile::kRows;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x % columns) * FmaTile::kColumns;
  const std::int64_t begin = blockIdx.y * split_depth;
  const std::int64_t end = begin + split_depth < depth ? begin + split_depth : depth;
  FmaTile tile;
  tile.multiply(FmaTile::Loader<T, Reading>(a, row, begin, reading, channels_along_depth),
                FmaTile::Loader<T>(b, column, begin), end - begin, shared_memory<float>());
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
  const Status status = with_reading(args.prologue, columns_of_a(args), [&](const auto& reading) {
    return launch(product_by_fma<T, std::decay_t<decltype(reading)>>, grid, on, a, b, reading,
                  !args.transpose_a, args.k, split.depth, partial, finish);
  });
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
    return args.type == kType && may_stay(args.type, args.rounding.to);
  };
  return {name, supports, fma_workspace, run_fma<T>};
}

}  // namespace

CutChoices cut_choices(const Matmul& args, const Stream& stream) {
  using Tile = ProductTile;
  const ProductCutter cutter(extents_of(args));
  CutChoices choices{kind_of(args, stream), extents_of(args), cut_of(args, stream), {}};
  if (!supports_tensor_cores(args)) return choices;
  choices.cuts = takes_any_tile(args)
                     ? cutter.choices({Tile::square, Tile::tall, Tile::narrow, Tile::small, Tile::few})
                     : cutter.choices({Tile::square, Tile::small});
  return choices;
}

std::size_t workspace_of(const Matmul& args, const ProductCut& cut) {
  return cut.workspace(extents_of(args));
}

Status run_cut(const Matmul& args, const ProductCut& cut, const Launch& on) {
  return with_number(args.type,
                     [&](auto number) { return run_tensor_cores<decltype(number)>(args, cut, on); });
}

void add_matmul_kernels(KernelTable& table) {
  table.matmul.add(
      {"matmul_tensor_cores", supports_tensor_cores, tensor_cores_workspace,
       [](const Matmul& args, const Launch& on) { return run_cut(args, cut_of(args, *on.stream), on); }});
  table.matmul.add(fma_kernel<DType::f32, float>("matmul_f32"));
  table.matmul.add(fma_kernel<DType::f16, Float16>("matmul_f16"));
  table.matmul.add(fma_kernel<DType::bf16, BFloat16>("matmul_bf16"));
}

}  // namespace pila::kernels::cuda
