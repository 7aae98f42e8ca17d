// Convolution by any window, and its gradients, as products by tensor cores: of patches of the image, or of
// y's gradient, that are gathered on their way to shared memory.

#include "kernels/args/conv.h"
#include "kernels/cuda/device/patches.cuh"
#include "kernels/cuda/device/product_end.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

template <class Shape>
constexpr int kBlocks = 512 / Shape::kThreads;  // of a processor, at a time

// ---- y: pixels of y x taps and channels of x, times the weights

template <class T, class Shape>
__global__ void __launch_bounds__(Shape::kThreads, kBlocks<Shape>)
    forward(Patches<T, false> x, RowMajor<T> w, std::int64_t depth_of_part, ProductEnd<T> end) {
  using Product = TensorProduct<T, Shape>;
  const ProductBlock<Shape> block(end.columns, x.columns, depth_of_part);
  Product product;
  product.multiply(
      PatchRows<T, false, typename Product::A, Shape::kThreads>(x, block.row),
      [&](T* tile, std::int64_t depth) {
        copy_tile<typename Product::B, Shape::kThreads>(tile, w, depth, block.column);
      },
      block.begin, block.end);
  product.for_sums(
      [&](int r, int c, const float* sums) { end.store(block.row + r, block.column + c, sums); });
}

// ---- x's gradient: pixels of x x taps and channels of y, times the weights' transposes

template <class T, class Shape>
__global__ void __launch_bounds__(Shape::kThreads, kBlocks<Shape>)
    backward_data(Patches<T, true> dy, RowMajor<T> w, std::int64_t depth_of_part, ProductEnd<T> end) {
  using Product = TensorProduct<T, Shape, false, true>;
  const ProductBlock<Shape> block(end.columns, dy.columns, depth_of_part);
  Product product;
  product.multiply(
      PatchRows<T, true, typename Product::A, Shape::kThreads>(dy, block.row),
      WeightRows<T, typename Product::B, Shape::kThreads>(w, static_cast<int>(end.columns), block.column),
      block.begin, block.end);
  product.for_sums(
      [&](int r, int c, const float* sums) { end.store(block.row + r, block.column + c, sums); });
}

// ---- the weights' gradient: taps and channels of x x pixels of y, times y's gradient

template <class T, class Shape>
__global__ void __launch_bounds__(Shape::kThreads, kBlocks<Shape>)
    backward_filter(Patches<T, false> x, RowMajor<T> dy, std::int64_t depth_of_part, ProductEnd<T> end) {
  using Product = TensorProduct<T, Shape, true, false>;
  const ProductBlock<Shape> block(end.columns, dy.rows, depth_of_part);
  Product product;
  product.multiply(
      PatchColumns<T, typename Product::A, Shape::kThreads>(x, block.row),
      [&](T* tile, std::int64_t depth) {
        copy_tile<typename Product::B, Shape::kThreads>(tile, dy, depth, block.column);
      },
      block.begin, block.end);
  product.for_sums(
      [&](int r, int c, const float* sums) { end.store(block.row + r, block.column + c, sums); });
}

// ---- the table

std::int64_t pixels_of_x(const ConvShape& shape) { return shape.batch * shape.in_h * shape.in_w; }
std::int64_t pixels_of_y(const ConvShape& shape) { return shape.batch * shape.out_h * shape.out_w; }
std::int64_t taps_of(const ConvShape& shape) { return shape.window.kernel_h * shape.window.kernel_w; }

ProductSize extents_of(const ConvForward& args) {
  return {pixels_of_y(args.shape), args.shape.out_c, taps_of(args.shape) * args.shape.in_c};
}
ProductSize extents_of(const ConvBackwardData& args) {
  return {pixels_of_x(args.shape), args.shape.in_c, taps_of(args.shape) * args.shape.out_c};
}
ProductSize extents_of(const ConvBackwardFilter& args) {
  return {taps_of(args.shape) * args.shape.in_c, args.shape.out_c, pixels_of_y(args.shape)};
}

template <class T>
RowMajor<T> weights_of(const ConvShape& shape, const void* w) {
  return {static_cast<const T*>(w), taps_of(shape) * shape.in_c, shape.out_c};
}

template <class T, class Shape>
Status run_shape(const ConvForward& args, const ProductCut& cut, const Launch& on) {
  return run_product<Shape>(
      forward<T, Shape>, extents_of(args), cut, Finish<T>(args.y, args.shape.out_c, args.epilogue), on,
      Patches<T, false>(args.shape, args.x), weights_of<T>(args.shape, args.w), cut.depth);
}

template <class T, class Shape>
Status run_shape(const ConvBackwardData& args, const ProductCut& cut, const Launch& on) {
  return run_product<Shape>(
      backward_data<T, Shape>, extents_of(args), cut, Finish<T>(args.dx, args.shape.in_c, {}), on,
      Patches<T, true>(args.shape, args.dy), weights_of<T>(args.shape, args.w), cut.depth);
}

template <class T, class Shape>
Status run_shape(const ConvBackwardFilter& args, const ProductCut& cut, const Launch& on) {
  const ConvShape& shape = args.shape;
  return run_product<Shape>(backward_filter<T, Shape>, extents_of(args), cut,
                            Finish<T>(args.dw, shape.out_c, {}), on, Patches<T, false>(shape, args.x),
                            RowMajor<T>{static_cast<const T*>(args.dy), pixels_of_y(shape), shape.out_c},
                            cut.depth);
}

template <class Args>
Status run(const Args& args, const Launch& on) {
  const ProductCut cut = ProductCutter(extents_of(args)).between_two();
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    return with_shape_of_two<T>(cut.tile,
                                [&](auto shape) { return run_shape<T, decltype(shape)>(args, cut, on); });
  });
}

template <class Args>
std::size_t workspace(const Args& args, const Stream&) {
  const ProductSize size = extents_of(args);
  return ProductCutter(size).between_two().workspace(size);
}

bool are_aligned(const ConvForward& args) {
  return is_pack_aligned(args.x) && is_pack_aligned(args.w) && is_pack_aligned(args.y) &&
         is_pack_aligned(args.epilogue.bias) && is_pack_aligned(args.epilogue.residual);
}
bool are_aligned(const ConvBackwardData& args) {
  return is_pack_aligned(args.dy) && is_pack_aligned(args.w) && is_pack_aligned(args.dx);
}
bool are_aligned(const ConvBackwardFilter& args) {
  return is_pack_aligned(args.x) && is_pack_aligned(args.dy) && is_pack_aligned(args.dw);
}

template <class Args>
bool supports(const Args& args) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  const ConvShape& shape = args.shape;
  const std::int64_t lanes = 16 / static_cast<std::int64_t>(size_of(args.type));
  return tensor_cores_multiply(args.type, args.rounding) && shape.groups == 1 && shape.in_c > 0 &&
         shape.in_c % lanes == 0 && shape.out_c > 0 && shape.out_c % lanes == 0 &&
         pixels_of_x(shape) < kMost && pixels_of_y(shape) < kMost && are_aligned(args);
}

}  // namespace

void add_conv_tensor_core_kernels(KernelTable& table) {
  table.conv_forward.add(
      {"conv_tensor_cores", supports<ConvForward>, workspace<ConvForward>, run<ConvForward>});
  table.conv_backward_data.add({"conv_backward_data_tensor_cores", supports<ConvBackwardData>,
                                workspace<ConvBackwardData>, run<ConvBackwardData>});
  table.conv_backward_filter.add({"conv_backward_filter_tensor_cores", supports<ConvBackwardFilter>,
                                  workspace<ConvBackwardFilter>, run<ConvBackwardFilter>});
}

}  // namespace pila::kernels::cuda
