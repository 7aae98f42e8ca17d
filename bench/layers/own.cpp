#include "bench/layers/own.h"

#include "engine/core/error.h"
#include "engine/core/launch.h"

namespace pila::bench {
namespace {

using kernels::Activation;

class OwnCall : public Call {
 public:
  OwnCall(const Context& ctx, std::unique_ptr<const KernelCall> kernel, bool prepares)
      : ctx_(ctx), kernel_(std::move(kernel)) {
    if (prepares) prepared_ = bytes(kernel_->prepared_size(ctx_.stream()));
    if (prepared_) {
      check(kernel_->prepare(prepared_.data(), {.stream = &ctx_.stream()}));
    }
    workspace_ = bytes(kernel_->workspace(ctx_.stream(), prepared_.defined()));
  }
  std::string name() const override { return kernel_->kernel(); }
  void run() override {
    check(kernel_->run(
        {&ctx_.stream(), workspace_ ? workspace_.data() : nullptr, prepared_ ? prepared_.data() : nullptr}));
  }

 private:
  Tensor bytes(std::size_t count) const {
    return count == 0 ? Tensor() : Tensor::empty(ctx_, {{static_cast<std::int64_t>(count)}, DType::u8});
  }
  void check(kernels::Status status) const {
    if (status != nullptr) throw_kernel_failed("profile", kernel_->kernel(), status);
  }

  Context ctx_;
  std::unique_ptr<const KernelCall> kernel_;
  Tensor prepared_, workspace_;
};

kernels::Precision& rounding_of(kernels::Matmul& args) { return args.rounding.to; }
template <class Args>
kernels::Precision& rounding_of(Args& args) {
  return args.rounding;
}

template <class Args>
std::unique_ptr<Call> call_of(const Context& ctx, Args args, bool prepares) {
  if constexpr (requires { args.rounding; }) {
    if (args.type == DType::f32) rounding_of(args) = ctx.products();
  }
  const kernels::Kernel<Args>* kernel = kernels::entry_of(ctx.kernels(), &args).select(args);
  if (kernel == nullptr) return nullptr;
  return std::make_unique<OwnCall>(ctx, std::make_unique<const BoundKernel<Args>>(*kernel, args), prepares);
}

const void* data_of(const Tensor& tensor) { return tensor ? tensor.data() : nullptr; }

Activation activation_of(const LayerShape& layer) {
  return layer.relu6 ? Activation::relu6 : Activation::none;
}

kernels::Epilogue epilogue_of(const LayerShape& layer, const Operands& operands) {
  return {operands.bias.data(), data_of(operands.residual), activation_of(layer)};
}

template <class Forward, class BackwardData, class BackwardFilter>
std::unique_ptr<Call> convolution(const Context& ctx, const Problem& problem, const Operands& operands) {
  const auto shape = conv_shape(problem.layer, problem.batch, problem.padding);
  void *x = operands.x.data(), *w = operands.w.data(), *y = operands.y.data();
  switch (problem.direction) {
    case Direction::data_gradient:
      return call_of(ctx, BackwardData{.type = problem.type, .shape = shape, .dy = y, .w = w, .dx = x},
                     false);
    case Direction::filter_gradient:
      return call_of(ctx, BackwardFilter{.type = problem.type, .shape = shape, .x = x, .dy = y, .dw = w},
                     false);
    case Direction::forward:
      break;
  }
  return call_of(ctx,
                 Forward{.type = problem.type,
                         .shape = shape,
                         .x = x,
                         .w = w,
                         .y = y,
                         .epilogue = epilogue_of(problem.layer, operands)},
                 true);
}

std::unique_ptr<Call> product(const Context& ctx, const Problem& problem, const Operands& operands) {
  const LayerShape& layer = problem.layer;
  const std::int64_t rows = problem.batch * layer.out_size * layer.out_size;
  kernels::Matmul args;
  args.type = problem.type;
  switch (problem.direction) {
    case Direction::data_gradient:
      args.m = rows, args.n = layer.in_channels, args.k = layer.out_channels;
      args.transpose_b = true;
      args.a = operands.y.data(), args.b = operands.w.data(), args.c = operands.x.data();
      return call_of(ctx, args, false);
    case Direction::filter_gradient:
      args.m = layer.in_channels, args.n = layer.out_channels, args.k = rows;
      args.transpose_a = true;
      args.a = operands.x.data(), args.b = operands.y.data(), args.c = operands.w.data();
      return call_of(ctx, args, false);
    case Direction::forward:
      break;
  }
  args.m = rows, args.n = layer.out_channels, args.k = layer.in_channels;
  args.a = operands.x.data(), args.b = operands.w.data(), args.c = operands.y.data();
  args.epilogue = epilogue_of(layer, operands);
  return call_of(ctx, args, true);
}

kernels::Pointwise pointwise(const LayerShape& layer, const Operands& operands) {
  return {operands.w.data(), operands.bias.data(), activation_of(layer), {}};
}

}  // namespace

std::unique_ptr<Call> own_layer(const Context& ctx, const Problem& problem, const Operands& operands) {
  switch (problem.layer.kind) {
    case LayerKind::convolution:
      return convolution<kernels::ConvForward, kernels::ConvBackwardData, kernels::ConvBackwardFilter>(
          ctx, problem, operands);
    case LayerKind::depthwise:
      return convolution<kernels::DepthwiseForward, kernels::DepthwiseBackwardData,
                         kernels::DepthwiseBackwardFilter>(ctx, problem, operands);
    case LayerKind::pointwise:
    case LayerKind::dense:
      break;
  }
  return product(ctx, problem, operands);
}

std::unique_ptr<Call> own_block(const Context& ctx, const std::vector<Problem>& parts,
                                const std::vector<Operands>& operands) {
  if (ctx.products() != Precision::f32) return nullptr;  // plans have no such block either
  kernels::InvertedResidual args;
  args.type = parts.front().type;
  args.in_c = parts.front().layer.in_channels;
  args.out_c = parts.back().layer.out_channels;
  args.x = operands.front().x.data();
  args.y = operands.back().y.data();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const LayerShape& layer = parts[i].layer;
    if (layer.kind == LayerKind::depthwise) {
      args.depthwise = conv_shape(layer, parts[i].batch, parts[i].padding);
      args.depthwise_w = operands[i].w.data();
      args.depthwise_bias = operands[i].bias.data();
      args.depthwise_activation = activation_of(layer);
    } else {
      (i == 0 ? args.expand : args.project) = pointwise(layer, operands[i]);
    }
  }
  args.residual = data_of(operands.back().residual);
  return call_of(ctx, args, true);
}

}  // namespace pila::bench
