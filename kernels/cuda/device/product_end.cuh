// Where a product's sums go, and the shapes that products by tensor cores are compiled for.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/add_parts.cuh"
#include "kernels/cuda/device/finish.cuh"
#include "kernels/cuda/device/tensor_product.cuh"
#include "kernels/cuda/product_cut.h"

namespace pila::kernels::cuda {

// Addresses of TF32's fragments take registers: a warp makes fewer sums of it.
template <class T>
constexpr int kSplit = sizeof(T) == 4 ? 2 : 1;

template <class T>
using SquareShape = TensorShape<128, 128, 4, 2 * kSplit<T>, 1, 3>;
template <class T>
using TallShape = TensorShape<128, 64, 4, kSplit<T>, 1, 4>;
using NarrowShape = TensorShape<128, 32, 4, 1, 1, 4>;
using SmallShape = TensorShape<64, 64, 2, 2, 1, 4>;
using FewShape = TensorShape<16, 32, 1, 1, 8, 2>;  // its warps share the depth, for products of few rows

// Returns visit(the shape of that tile for products of T).
template <class T, class Visit>
Status with_any_shape(ProductTile tile, const Visit& visit) {
  switch (tile) {
    case ProductTile::tall:
      return visit(TallShape<T>());
    case ProductTile::narrow:
      return visit(NarrowShape());
    case ProductTile::few:
      return visit(FewShape());
    case ProductTile::small:
      return visit(SmallShape());
    default:
      return visit(SquareShape<T>());
  }
}
// Those of ProductCutter::between_two().
template <class T, class Visit>
Status with_shape_of_two(ProductTile tile, const Visit& visit) {
  return tile == ProductTile::square ? visit(SquareShape<T>()) : visit(SmallShape());
}

// Of [rows, columns] sums: finished where `partial` is null; else the block's part, blockIdx.y, is kept
// there.
template <class T>
struct ProductEnd {
  std::int64_t rows, columns;
  float* partial;
  Finish<T> finish;

  // Eight neighbouring sums; columns begin at packs.
  __device__ void store(std::int64_t row, std::int64_t column, const float* sums) const {
    if (row >= rows) return;
    if (partial != nullptr) {
      float* const to = partial + (blockIdx.y * rows + row) * columns + column;
      for (int c = 0; c < 8 && column + c < columns; c += 4) {
        store_pack(to + c, 0, Pack<float>{{sums[c], sums[c + 1], sums[c + 2], sums[c + 3]}});
      }
    } else {
      for (int c = 0; c < 8 && column + c < columns; c += Pack<T>::kLanes) {
        finish.store_sums(row, column + c, sums + c);
      }
    }
  }
};

// Starts kernel(arguments..., end), which makes blockIdx.x's tile over blockIdx.y's part of the depth, and
// adds the parts up where there are several. The launch's workspace is as large as the cut says.
template <class Shape, class T, class... Parameters, class... Arguments>
Status run_product(void (*kernel)(Parameters...), const ProductSize& size, const ProductCut& cut,
                   const Finish<T>& finish, const Launch& on, const Arguments&... arguments) {
  if (size.m == 0 || size.n == 0) return nullptr;
  const std::int64_t tiles = ceil_div(size.m, Shape::kM) * ceil_div(size.n, Shape::kN);
  const Grid grid{dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(cut.parts)), dim3(Shape::kThreads),
                  Shape::kSharedBytes};
  float* const partial = cut.parts > 1 ? static_cast<float*>(on.workspace) : nullptr;
  const ProductEnd<T> end{size.m, size.n, partial, finish};
  const Status status = launch(kernel, grid, on, arguments..., end);
  if (status != nullptr || partial == nullptr) return status;
  return run_add_parts(size.m * size.n, cut.parts, partial, finish, on);
}

// A block's part of a product. Blocks whose number follows on another share rows of a, which are large: the
// second finds them in the cache.
template <class Shape>
struct ProductBlock {
  std::int64_t row, column, begin, end;

  // Parts are `depth_of_part` of the depth.
  __device__ ProductBlock(std::int64_t columns, std::int64_t depth, std::int64_t depth_of_part) {
    const auto across = static_cast<unsigned>((columns + Shape::kN - 1) / Shape::kN);
    row = static_cast<std::int64_t>(blockIdx.x / across) * Shape::kM;
    column = static_cast<std::int64_t>(blockIdx.x % across) * Shape::kN;
    begin = blockIdx.y * depth_of_part;
    end = begin + depth_of_part < depth ? begin + depth_of_part : depth;
  }
};

}  // namespace pila::kernels::cuda
