// All gradients of a product or depthwise convolution: the activation's, then each by its own kernel.
#include <vector>

#include "kernels/args/conv.h"
#include "kernels/args/matmul.h"
#include "kernels/reference/epilogue.h"
#include "kernels/reference/families.h"
#include "kernels/reference/reference.h"

namespace pila::kernels::reference {
namespace {

template <class Args>
bool is_supported(const Args& args) {
  return is_float(args.type) && args.activation != Activation::silu;
}

// Behind the activation; dbias, where wanted.
template <class T>
std::vector<T> gradient_of_sums(Activation activation, std::int64_t rows, std::int64_t channels,
                                const void* kept, const void* gradient, void* dbias) {
  std::vector<T> result(static_cast<std::size_t>(rows * channels));
  std::vector<double> sums(static_cast<std::size_t>(channels));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double dy = static_cast<const T*>(gradient)[i];
    const double slope =
        activation == Activation::none ? 1 : slope_from_kept(activation, static_cast<const T*>(kept)[i]);
    result[i] = static_cast<T>(through(slope, dy));
    sums[i % sums.size()] += result[i];
  }
  for (std::size_t c = 0; c < sums.size() && dbias != nullptr; ++c) {
    static_cast<T*>(dbias)[c] = static_cast<T>(sums[c]);
  }
  return result;
}

// By the first of the table's kernels, which all take these types.
template <class Args>
Status run_first(const Entry<Args>& entry, const Args& args) {
  return entry.begin()->run(args, {});
}

template <class T>
Status matmul_gradients(const MatmulGradients& args) {
  const std::vector<T> g = gradient_of_sums<T>(args.activation, args.m, args.n, args.c, args.dc, args.dbias);
  Matmul product;
  product.type = args.type;
  product.rounding.to = args.rounding;
  if (args.da != nullptr) {
    product.m = args.m;
    product.n = args.k;
    product.k = args.n;
    product.transpose_b = true;
    product.a = g.data();
    product.b = args.b;
    product.c = args.da;
    if (const Status status = run_first(table().matmul, product)) return status;
  }
  if (args.db == nullptr) return nullptr;
  product.m = args.k;
  product.n = args.n;
  product.k = args.m;
  product.transpose_a = true;
  product.transpose_b = false;
  product.a = args.a;
  product.b = g.data();
  product.c = args.db;
  product.prologue = args.prologue;
  return run_first(table().matmul, product);
}

template <class T>
Status depthwise_gradients(const DepthwiseGradients& args) {
  const ConvShape& s = args.shape;
  const std::vector<T> g =
      gradient_of_sums<T>(args.activation, s.batch * s.out_h * s.out_w, s.out_c, args.y, args.dy, args.dbias);
  if (args.dx != nullptr) {
    const DepthwiseBackwardData data{args.type, s, g.data(), args.w, args.dx};
    if (const Status status = run_first(table().depthwise_backward_data, data)) return status;
  }
  if (args.dw == nullptr) return nullptr;
  const DepthwiseBackwardFilter filter{args.type, s, args.x, g.data(), args.dw, args.prologue};
  return run_first(table().depthwise_backward_filter, filter);
}

template <class Args, Status (*run_f32)(const Args&), Status (*run_f64)(const Args&)>
Kernel<Args> gradients_kernel() {
  Kernel<Args> kernel;
  kernel.name = "reference";
  kernel.supports = is_supported<Args>;
  kernel.run = [](const Args& args, const Launch&) {
    return args.type == DType::f64 ? run_f64(args) : run_f32(args);
  };
  return kernel;
}

}  // namespace

void add_gradients_kernels(KernelTable& table) {
  table.matmul_gradients.add(
      gradients_kernel<MatmulGradients, matmul_gradients<float>, matmul_gradients<double>>());
  table.depthwise_gradients.add(
      gradients_kernel<DepthwiseGradients, depthwise_gradients<float>, depthwise_gradients<double>>());
}

}  // namespace pila::kernels::reference
