// All gradients of a depthwise convolution with a window for which there is no single pass: one after the
// other, with those behind the activation in memory.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/args/elementwise.h"
#include "kernels/args/reduce.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/gemm_blocks.h"

namespace pila::kernels::cpu {
namespace {

bool supports(const DepthwiseGradients& args) {
  return is_plain_depthwise(args.type, args.shape) && args.activation != Activation::silu;
}

struct Passes {
  ActivationBackward slope;
  Reduce sum;
  DepthwiseBackwardData data;
  DepthwiseBackwardFilter filter;

  // g: the gradients behind the activation.
  Passes(const DepthwiseGradients& args, void* g) {
    const ConvShape& shape = args.shape;
    slope.kind = args.activation;
    slope.count = shape.batch * shape.out_h * shape.out_w * shape.out_c;
    slope.value = args.y;
    slope.dy = args.dy;
    slope.dx = g;
    const void* gradients = args.activation == Activation::none ? args.dy : g;
    sum.reduced = shape.batch * shape.out_h * shape.out_w;
    sum.inner = shape.out_c;
    sum.x = gradients;
    sum.y = args.dbias;
    data.shape = shape;
    data.dy = gradients;
    data.w = args.w;
    data.dx = args.dx;
    filter.shape = shape;
    filter.x = args.x;
    filter.dy = gradients;
    filter.dw = args.dw;
    filter.prologue = args.prologue;
  }
};

template <class Args>
std::size_t workspace_of(const Args& args, const Stream& stream) {
  const Kernel<Args>* kernel = entry_of(table(), &args).select(args);
  return kernel->workspace == nullptr ? 0 : kernel->workspace(args, stream);
}

template <class Args>
Status run(const Args& args, const Launch& launch) {
  return entry_of(table(), &args).select(args)->run(args, launch);
}

struct PassesScratch {
  PassesScratch(const DepthwiseGradients& args, const Stream& stream, void* memory) {
    const Passes passes(args, nullptr);
    Scratch scratch(memory);
    g = scratch.take<float>(args.activation == Activation::none ? 0 : passes.slope.count);
    const std::size_t most =
        std::max({workspace_of(passes.slope, stream), workspace_of(passes.sum, stream),
                  workspace_of(passes.data, stream), workspace_of(passes.filter, stream)});
    workspace = scratch.take<std::byte>(static_cast<std::int64_t>(most));
    bytes = scratch.bytes();
  }
  float* g;
  std::byte* workspace;  // of each pass in turn
  std::size_t bytes;
};

std::size_t workspace_bytes(const DepthwiseGradients& args, const Stream& stream) {
  return PassesScratch(args, stream, nullptr).bytes;
}

Status gradients(const DepthwiseGradients& args, const Launch& launch) {
  const PassesScratch scratch(args, *launch.stream, launch.workspace);
  const Passes passes(args, scratch.g);
  const Launch each{launch.stream, scratch.workspace};
  if (args.activation != Activation::none) {
    if (const Status status = run(passes.slope, each)) return status;
  }
  if (args.dbias != nullptr) {
    if (const Status status = run(passes.sum, each)) return status;
  }
  if (args.dx != nullptr) {
    if (const Status status = run(passes.data, each)) return status;
  }
  return args.dw == nullptr ? nullptr : run(passes.filter, each);
}

}  // namespace

Kernel<DepthwiseGradients> depthwise_gradients_passes_kernel() {
  return {"depthwise_gradients_f32_passes", supports, workspace_bytes, gradients};
}

}  // namespace pila::kernels::cpu
