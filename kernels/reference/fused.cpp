// Operations that fast kernels do in one go, made of the table's single steps.
#include <cstddef>

#include "kernels/args/image.h"
#include "kernels/args/inverted_residual.h"
#include "kernels/args/matmul.h"
#include "kernels/reference/epilogue.h"
#include "kernels/reference/families.h"
#include "kernels/reference/reference.h"

namespace pila::kernels::reference {
namespace {

template <class Args>
Status run_step(const Entry<Args>& entry, const Args& step) {
  return entry.begin()->run(step, {});
}

// ---- an image's convolution

std::size_t image_conv_workspace(const ImageConvForward& args, const Stream&) {
  const ConvShape& s = args.shape;
  return static_cast<std::size_t>(s.batch * s.in_h * s.in_w * s.in_c) * size_of(args.type);
}

Status image_conv_forward(const ImageConvForward& args, const Launch& launch) {
  const ConvShape& s = args.shape;
  ImageToFloat to_float;
  to_float.type = args.type;
  to_float.pixels = s.batch * s.in_h * s.in_w;
  to_float.channels = static_cast<int>(s.in_c);
  std::copy_n(args.scale, kMaxImageChannels, to_float.scale);
  std::copy_n(args.offset, kMaxImageChannels, to_float.offset);
  to_float.x = args.x;
  to_float.y = launch.workspace;
  if (const Status status = run_step(table().image_to_float, to_float)) return status;
  return run_step(table().conv_forward,
                  ConvForward{args.type, s, launch.workspace, args.w, args.y, args.epilogue, args.rounding});
}

bool supports_image_conv(const ImageConvForward& args) {
  return is_float(args.type) && can_round(args.type, args.rounding) && args.shape.groups == 1 &&
         args.shape.in_c <= kMaxImageChannels;
}

// ---- a product and the mean of its rows

template <class T>
void pooled_matmul(const PooledMatmul& args) {
  const auto* b = static_cast<const T*>(args.b);
  auto* c = static_cast<T*>(args.c);
  const Factors<T> factors(args.rounding, b, args.k, args.n, args.n, 1);
  const Epilogue epilogue{args.bias, nullptr, args.activation};
  for (std::int64_t image = 0; image < args.batch; ++image) {
    const T* a = static_cast<const T*>(args.a) + image * args.rows * args.k;
    for_tiles(args.n, [&](auto begin, auto size) {
      double means[kTile] = {};
      for (std::int64_t row = 0; row < args.rows; ++row) {
        double sums[kTile] = {};
        for (std::int64_t p = 0; p < args.k; ++p) {
          const double value = factors.a(a[row * args.k + p]);
          const T* from = b + p * args.n + begin;
          for (std::int64_t j = 0; j < size; ++j) sums[j] += value * factors.b(from[j], begin + j);
        }
        for (std::int64_t j = 0; j < size; ++j) means[j] += finish<T>(epilogue, sums[j], begin + j, 0);
      }
      for (std::int64_t j = 0; j < size; ++j) {
        c[image * args.n + begin + j] = static_cast<T>(means[j] / static_cast<double>(args.rows));
      }
    });
  }
}

// ---- an inverted residual

std::int64_t wide_inputs(const InvertedResidual& args) {
  const ConvShape& s = args.depthwise;
  return args.expand.w == nullptr ? 0 : s.batch * s.in_h * s.in_w * s.in_c;
}

std::int64_t wide_outputs(const InvertedResidual& args) {
  const ConvShape& s = args.depthwise;
  return args.project.w == nullptr ? 0 : s.batch * s.out_h * s.out_w * s.out_c;
}

std::size_t inverted_residual_workspace(const InvertedResidual& args, const Stream&) {
  return static_cast<std::size_t>(wide_inputs(args) + wide_outputs(args)) * size_of(args.type);
}

Matmul pointwise(const InvertedResidual& args, std::int64_t pixels, std::int64_t in_c, std::int64_t out_c,
                 const void* x, const Pointwise& step, const void* residual, void* y) {
  Matmul product;
  product.type = args.type;
  product.rounding = step.rounding;
  product.m = pixels;
  product.n = out_c;
  product.k = in_c;
  product.a = x;
  product.b = step.w;
  product.c = y;
  product.epilogue = {step.bias, residual, step.activation};
  return product;
}

Status inverted_residual(const InvertedResidual& args, const Launch& launch) {
  const ConvShape& s = args.depthwise;
  auto* expanded = static_cast<std::byte*>(launch.workspace);
  std::byte* filtered = expanded + static_cast<std::size_t>(wide_inputs(args)) * size_of(args.type);
  const void* x = args.x;
  if (args.expand.w != nullptr) {
    const Matmul expand =
        pointwise(args, s.batch * s.in_h * s.in_w, args.in_c, s.in_c, x, args.expand, nullptr, expanded);
    if (const Status status = run_step(table().matmul, expand)) return status;
    x = expanded;
  }
  void* y = args.project.w == nullptr ? args.y : filtered;
  const Epilogue epilogue{args.depthwise_bias, nullptr, args.depthwise_activation};
  const DepthwiseForward depthwise{args.type, s, x, args.depthwise_w, y, {}, epilogue};
  if (const Status status = run_step(table().depthwise_forward, depthwise)) return status;
  if (args.project.w == nullptr) return nullptr;
  return run_step(table().matmul, pointwise(args, s.batch * s.out_h * s.out_w, s.out_c, args.out_c, filtered,
                                            args.project, args.residual, args.y));
}

bool supports_inverted_residual(const InvertedResidual& args) {
  return is_float(args.type) && can_round(args.type, args.expand.rounding) &&
         can_round(args.type, args.project.rounding);
}

}  // namespace

void add_fused_kernels(KernelTable& table) {
  table.image_conv_forward.add({"reference", supports_image_conv, image_conv_workspace, image_conv_forward});
  table.pooled_matmul.add(product_kernel<PooledMatmul, pooled_matmul<float>, pooled_matmul<double>>());
  table.inverted_residual.add(
      {"reference", supports_inverted_residual, inverted_residual_workspace, inverted_residual});
}

}  // namespace pila::kernels::reference
