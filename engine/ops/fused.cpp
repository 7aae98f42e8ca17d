// Several operations as one, for inference and for what does not learn: nothing here has a gradient.
#include <algorithm>

#include "engine/ops/support.h"

namespace pila::ops {
namespace {

using kernels::ConvShape;

class WithoutGradient : public Op {
 public:
  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of operations fused for inference");
  }
};

Shape output_of(const ConvShape& s, std::int64_t channels) { return {s.batch, s.out_h, s.out_w, channels}; }

class ImageConv : public WithoutGradient {
 public:
  explicit ImageConv(const ImageConvAttributes& attributes) : attributes_(attributes) {}
  std::string_view name() const override { return "image_conv2d"; }
  Attributes attributes() const override { return attributes_; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    if (inputs[0].type != DType::u8) throw_expected(name(), "pixels of uint8", inputs);
    check_types_with_biases(name(), inputs.subspan(1));
    return {{output_of(attributes_.shape, attributes_.shape.out_c), inputs[1].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::ImageConvForward args;
    args.type = inputs[1].type();
    args.shape = attributes_.shape;
    args.x = inputs[0].data_as<std::uint8_t>();
    std::copy(attributes_.scale.begin(), attributes_.scale.end(), args.scale);
    std::copy(attributes_.offset.begin(), attributes_.offset.end(), args.offset);
    args.w = inputs[1].data();
    args.y = outputs[0].data();
    args.epilogue.bias = attributes_.bias ? inputs[2].data() : nullptr;
    args.epilogue.activation = attributes_.activation;
    args.rounding = attributes_.rounding;
    launch(ctx, name(), args, inputs);
  }

 private:
  ImageConvAttributes attributes_;
};

class PooledMatmul : public WithoutGradient {
 public:
  explicit PooledMatmul(const PooledMatmulAttributes& attributes) : attributes_(attributes) {}
  std::string_view name() const override { return "pooled_matmul"; }
  Attributes attributes() const override { return attributes_; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_types_with_biases(name(), inputs);
    const Shape &x = inputs[0].shape, &b = inputs[1].shape;
    if (x.rank() < 2 || b.rank() < 2 || x[-1] != b[-2]) {
      throw_expected(name(), "x [n, ..., k] and b [k, columns]", inputs);
    }
    return {{Shape{x[0], b[-1]}, inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    const Shape &x = inputs[0].shape(), &b = inputs[1].shape();
    kernels::PooledMatmul args;
    args.type = inputs[0].type();
    args.rounding = attributes_.rounding;
    args.batch = x[0];
    args.k = x[-1];
    args.n = b[-1];
    args.rows = x.elements() / (args.batch * args.k);
    args.a = inputs[0].data();
    args.b = inputs[1].data();
    args.bias = attributes_.bias ? inputs[2].data() : nullptr;
    args.activation = attributes_.activation;
    args.c = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

 private:
  PooledMatmulAttributes attributes_;
};

class InvertedResidual : public WithoutGradient {
 public:
  explicit InvertedResidual(const InvertedResidualAttributes& attributes) : attributes_(attributes) {}
  std::string_view name() const override { return "inverted_residual"; }
  Attributes attributes() const override { return attributes_; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_types_with_biases(name(), inputs);
    const auto& [shape, expand, depthwise, project, residual] = attributes_;
    std::int64_t channels = shape.out_c;
    if (project.present) {
      const std::size_t at = inputs.size() - 1 - (project.bias ? 1 : 0) - (residual ? 1 : 0);
      channels = inputs[at].shape[-1];
    }
    return {{output_of(shape, channels), inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto next = inputs.begin();
    kernels::InvertedResidual args =
        arguments(inputs[0].spec(), outputs[0].spec(), [&] { return (next++)->data(); });
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  // next() gives the addresses of the inputs that are there, in order.
  template <class Next>
  kernels::InvertedResidual arguments(const TensorSpec& x, const TensorSpec& y, const Next& next) const {
    const auto& [shape, expand, depthwise, project, residual] = attributes_;
    const auto take = [&](bool present) -> const void* { return present ? next() : nullptr; };
    kernels::InvertedResidual args;
    args.type = x.type;
    args.in_c = x.shape[-1];
    args.out_c = y.shape[-1];
    args.depthwise = shape;
    args.x = take(true);
    args.expand = pointwise(expand, take);
    args.depthwise_w = take(true);
    args.depthwise_bias = take(depthwise.bias);
    args.depthwise_activation = depthwise.activation;
    args.project = pointwise(project, take);
    args.residual = take(residual);
    return args;
  }

 private:
  template <class Take>
  static kernels::Pointwise pointwise(const InvertedResidualAttributes::Step& step, const Take& take) {
    kernels::Pointwise result;
    result.w = take(step.present);
    result.bias = take(step.present && step.bias);
    result.activation = step.activation;
    result.rounding = step.rounding;
    return result;
  }

  InvertedResidualAttributes attributes_;
};

}  // namespace

std::shared_ptr<const Op> make_op(const ImageConvAttributes& attributes) {
  return std::make_shared<const ImageConv>(attributes);
}

std::shared_ptr<const Op> make_op(const PooledMatmulAttributes& attributes) {
  return std::make_shared<const PooledMatmul>(attributes);
}

bool has_kernel(const Context& ctx, const InvertedResidualAttributes& attributes,
                std::span<const TensorSpec> inputs) {
  alignas(64) static const std::byte somewhere{};
  const InvertedResidual block(attributes);
  const auto args = block.arguments(inputs[0], block.infer(inputs)[0], [] { return &somewhere; });
  return kernels::entry_of(ctx.kernels(), &args).select(args) != nullptr;
}

std::shared_ptr<const Op> make_op(const InvertedResidualAttributes& attributes) {
  return std::make_shared<const InvertedResidual>(attributes);
}

Tensor inverted_residual(const Context& ctx, const Tensor& x, const InvertedResidualWeights& weights,
                         const ConvOptions& options, const Tensor& residual) {
  std::vector<Tensor> inputs = {x};
  const auto step = [&](const InvertedResidualWeights::Step& from) {
    InvertedResidualAttributes::Step to;
    to.present = from.kernel.defined();
    to.bias = to.present && from.bias;
    to.activation = from.activation;
    to.rounding.to = rounding_of(ctx, x);
    if (to.present) inputs.push_back(from.kernel);
    if (to.bias) inputs.push_back(from.bias);
    return to;
  };
  InvertedResidualAttributes block;
  block.expand = step(weights.expand);
  block.depthwise = step(weights.depthwise);
  block.project = step(weights.project);
  block.residual = residual.defined();
  if (residual) inputs.push_back(residual);
  TensorSpec wide = x.spec();
  if (block.expand.present) {
    const Shape& s = x.shape();
    wide.shape = {s[0], s[1], s[2], weights.expand.kernel.shape()[-1]};
  }
  block.shape = depthwise_shape(wide, weights.depthwise.kernel.spec(), options);
  std::vector<TensorSpec> specs;
  for (const Tensor& input : inputs) specs.push_back(input.spec());
  if (!has_kernel(ctx, block, specs)) return {};
  return std::move(apply(ctx, make_op(block), inputs)[0]);
}

}  // namespace pila::ops
