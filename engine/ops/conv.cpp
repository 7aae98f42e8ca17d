// Convolutions, dense and depthwise. Both are bilinear in image and kernel, so each of the three operations
// (forward, data gradient, filter gradient) has the other two as its derivatives, to any order.
#include <array>
#include <type_traits>

#include "engine/ops/one_pass.h"
#include "engine/ops/support.h"

namespace pila::ops {
namespace {

using kernels::ConvShape;

struct DenseKind {
  using Forward = kernels::ConvForward;
  using BackwardData = kernels::ConvBackwardData;
  using BackwardFilter = kernels::ConvBackwardFilter;
  static constexpr const char* kForward = "conv2d";
  static constexpr const char* kBackwardData = "conv2d_backward_data";
  static constexpr const char* kBackwardFilter = "conv2d_backward_filter";
  static Shape filter(const ConvShape& s) {
    return {s.window.kernel_h, s.window.kernel_w, s.in_c / s.groups, s.out_c};
  }
};

struct DepthwiseKind {
  using Forward = kernels::DepthwiseForward;
  using BackwardData = kernels::DepthwiseBackwardData;
  using BackwardFilter = kernels::DepthwiseBackwardFilter;
  static constexpr const char* kForward = "depthwise_conv2d";
  static constexpr const char* kBackwardData = "depthwise_conv2d_backward_data";
  static constexpr const char* kBackwardFilter = "depthwise_conv2d_backward_filter";
  static Shape filter(const ConvShape& s) {
    return {s.window.kernel_h, s.window.kernel_w, s.in_c, s.out_c / s.in_c};
  }
};

Shape input_of(const ConvShape& s) { return {s.batch, s.in_h, s.in_w, s.in_c}; }
Shape output_of(const ConvShape& s) { return {s.batch, s.out_h, s.out_w, s.out_c}; }

template <class Kind>
Tensor forward(const Context& ctx, const ConvShape& shape, const Tensor& x, const Tensor& w);
template <class Kind>
Tensor backward_data(const Context& ctx, const ConvShape& shape, const Tensor& dy, const Tensor& w);
template <class Kind>
Tensor backward_filter(const Context& ctx, const ConvShape& shape, const Tensor& x, const Tensor& dy);

template <class Kind>
class Convolution : public Op {
 public:
  explicit Convolution(const ConvAttributes& attributes) : attributes_(attributes) {}
  std::string_view name() const override { return Kind::kForward; }
  Attributes attributes() const override { return attributes_; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_types_with_biases(name(), inputs);
    const ConvShape& shape = attributes_.shape;
    if (attributes_.bias && inputs[2].shape != Shape{shape.out_c}) {
      throw_expected(name(), "a bias of " + Shape{shape.out_c}.to_string(), inputs);
    }
    if (attributes_.residual && inputs.back().shape != output_of(shape)) {
      throw_expected(name(), "a residual of " + output_of(shape).to_string(), inputs);
    }
    return {{output_of(shape), inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    typename Kind::Forward args;
    args.type = inputs[0].type();
    args.shape = attributes_.shape;
    args.x = inputs[0].data();
    args.w = inputs[1].data();
    args.y = outputs[0].data();
    args.epilogue.bias = attributes_.bias ? inputs[2].data() : nullptr;
    args.epilogue.residual = attributes_.residual ? inputs.back().data() : nullptr;
    args.epilogue.activation = attributes_.activation;
    if constexpr (requires { args.rounding; }) args.rounding = attributes_.rounding;
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool> wanted) const override {
    return {(wanted[0] ? 2u : 0u) | (wanted[1] ? 1u : 0u),
            attributes_.activation == Activation::none ? 0u : 1u};
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    check_gradient_with_residual(name(), attributes_);
    std::vector<Tensor> gradients(args.inputs.size());
    if (attributes_.residual && args.wanted.back()) gradients.back() = args.output_gradients[0];
    const ConvShape& shape = attributes_.shape;
    if constexpr (std::is_same_v<Kind, DepthwiseKind>) {
      kernels::DepthwiseGradients pass;
      pass.shape = shape;
      pass.activation = attributes_.activation;
      if (one_pass_gradients(ctx, pass, args, attributes_.bias, gradients)) return gradients;
    }
    const Tensor dy =
        activation_gradient(ctx, attributes_.activation, args.outputs[0], args.output_gradients[0]);
    if (args.wanted[0]) gradients[0] = backward_data<Kind>(ctx, shape, dy, args.inputs[1]);
    if (args.wanted[1]) gradients[1] = backward_filter<Kind>(ctx, shape, args.inputs[0], dy);
    if (attributes_.bias && args.wanted[2]) gradients[2] = bias_gradient(ctx, dy);
    return gradients;
  }

 private:
  ConvAttributes attributes_;
};

// dx from dy and w.
template <class Kind>
class BackwardData : public Op {
 public:
  BackwardData(const ConvShape& shape, Precision rounding) : shape_(shape), rounding_(rounding) {}
  std::string_view name() const override { return Kind::kBackwardData; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    return {{input_of(shape_), inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    typename Kind::BackwardData args;
    args.type = inputs[0].type();
    args.shape = shape_;
    args.dy = inputs[0].data();
    args.w = inputs[1].data();
    args.dx = outputs[0].data();
    if constexpr (requires { args.rounding; }) args.rounding = rounding_;
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool> wanted) const override {
    return {(wanted[0] ? 2u : 0u) | (wanted[1] ? 1u : 0u), 0};
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    const Tensor& g = args.output_gradients[0];
    std::vector<Tensor> gradients(2);
    if (args.wanted[0]) gradients[0] = forward<Kind>(ctx, shape_, g, args.inputs[1]);
    if (args.wanted[1]) gradients[1] = backward_filter<Kind>(ctx, shape_, g, args.inputs[0]);
    return gradients;
  }

 private:
  const ConvShape shape_;
  const Precision rounding_;
};

// dw from x and dy.
template <class Kind>
class BackwardFilter : public Op {
 public:
  BackwardFilter(const ConvShape& shape, Precision rounding) : shape_(shape), rounding_(rounding) {}
  std::string_view name() const override { return Kind::kBackwardFilter; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    return {{Kind::filter(shape_), inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    typename Kind::BackwardFilter args;
    args.type = inputs[0].type();
    args.shape = shape_;
    args.x = inputs[0].data();
    args.dy = inputs[1].data();
    args.dw = outputs[0].data();
    if constexpr (requires { args.rounding; }) args.rounding = rounding_;
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool> wanted) const override {
    return {(wanted[0] ? 2u : 0u) | (wanted[1] ? 1u : 0u), 0};
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    const Tensor& g = args.output_gradients[0];
    std::vector<Tensor> gradients(2);
    if (args.wanted[0]) gradients[0] = backward_data<Kind>(ctx, shape_, args.inputs[1], g);
    if (args.wanted[1]) gradients[1] = forward<Kind>(ctx, shape_, args.inputs[0], g);
    return gradients;
  }

 private:
  const ConvShape shape_;
  const Precision rounding_;
};

template <class Kind>
Tensor forward(const Context& ctx, const ConvShape& shape, const Tensor& x, const Tensor& w) {
  ConvAttributes attributes;
  attributes.depthwise = std::is_same_v<Kind, DepthwiseKind>;
  attributes.shape = shape;
  attributes.rounding = rounding_of(ctx, x);
  return apply_to_one<Convolution<Kind>>(ctx, {x, w}, attributes);
}

template <class Kind>
Tensor backward_data(const Context& ctx, const ConvShape& shape, const Tensor& dy, const Tensor& w) {
  return apply_to_one<BackwardData<Kind>>(ctx, {dy, w}, shape, rounding_of(ctx, dy));
}

template <class Kind>
Tensor backward_filter(const Context& ctx, const ConvShape& shape, const Tensor& x, const Tensor& dy) {
  return apply_to_one<BackwardFilter<Kind>>(ctx, {x, dy}, shape, rounding_of(ctx, x));
}

std::string specs_of(const TensorSpec& x, const TensorSpec& kernel) {
  return x.to_string() + ", " + kernel.to_string();
}

// Everything but the channels.
ConvShape resolve(std::string_view op, const TensorSpec& x, const TensorSpec& kernel,
                  const ConvOptions& options) {
  if (options.stride < 1 || options.dilation < 1 || options.groups < 1) {
    throw_expected(op, "stride, dilation and groups of at least 1",
                   std::to_string(options.stride) + ", " + std::to_string(options.dilation) + " and " +
                       std::to_string(options.groups));
  }
  if (x.shape.rank() != 4 || kernel.shape.rank() != 4 || kernel.shape.elements() == 0) {
    throw_expected(op, "an NHWC image and a kernel of rank 4", specs_of(x, kernel));
  }
  const auto place = [&](int axis) {
    return place_window(x.shape[axis], kernel.shape[axis - 1], options.stride, options.dilation,
                        options.padding);
  };
  const WindowAxis h = place(1), w = place(2);
  if (h.places < 1 || w.places < 1)
    throw_expected(op, "an image no smaller than the window", specs_of(x, kernel));

  ConvShape shape;
  shape.batch = x.shape[0];
  shape.in_h = x.shape[1];
  shape.in_w = x.shape[2];
  shape.in_c = x.shape[3];
  shape.out_h = h.places;
  shape.out_w = w.places;
  shape.groups = options.groups;
  shape.window = {static_cast<int>(kernel.shape[0]),
                  static_cast<int>(kernel.shape[1]),
                  options.stride,
                  options.stride,
                  options.dilation,
                  options.dilation,
                  h.pad,
                  w.pad};
  return shape;
}

// Where the way back needs more than the output, whoever records gets the activation as an operation of its
// own.
bool fuses(const Context& ctx, Activation kind) {
  return ctx.recorder() == nullptr || gradient_from_output(kind);
}

Tensor convolve(const Context& ctx, bool depthwise, const ConvShape& shape, const Tensor& x,
                const Tensor& kernel, const Tensor& bias, Activation activation, const Tensor& residual) {
  const auto op = make_op(
      ConvAttributes{depthwise, shape, activation, bias.defined(), residual.defined(), rounding_of(ctx, x)});
  return std::move(apply(ctx, op, with_weights(x, kernel, bias, residual))[0]);
}

}  // namespace

std::shared_ptr<const Op> make_op(const ConvAttributes& attributes) {
  if (attributes.depthwise) return std::make_shared<const Convolution<DepthwiseKind>>(attributes);
  return std::make_shared<const Convolution<DenseKind>>(attributes);
}

Tensor depthwise_image_gradient(const Context& ctx, const ConvShape& shape, const Tensor& dy,
                                const Tensor& kernel) {
  return backward_data<DepthwiseKind>(ctx, shape, dy, kernel);
}

ConvShape depthwise_shape(const TensorSpec& x, const TensorSpec& kernel, const ConvOptions& options) {
  ConvShape shape = resolve(DepthwiseKind::kForward, x, kernel, options);
  if (kernel.shape[2] != shape.in_c || options.groups != 1) {
    throw_expected(DepthwiseKind::kForward, "a kernel [h, w, image channels, multiplier] and 1 group",
                   specs_of(x, kernel) + " and " + std::to_string(options.groups));
  }
  shape.out_c = shape.in_c * kernel.shape[3];
  return shape;
}

Tensor conv2d(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias,
              const ConvOptions& options, const Tensor& residual) {
  ConvShape shape = resolve(DenseKind::kForward, x.spec(), kernel.spec(), options);
  shape.out_c = kernel.shape()[3];
  if (kernel.shape()[2] * shape.groups != shape.in_c || shape.out_c % shape.groups != 0) {
    throw_expected(DenseKind::kForward,
                   "a kernel [h, w, image channels / groups, multiple of groups] with " +
                       std::to_string(shape.groups) + (shape.groups == 1 ? " group" : " groups"),
                   specs_of(x.spec(), kernel.spec()));
  }
  const bool fused = fuses(ctx, options.activation);
  const Activation epilogue = fused ? options.activation : Activation::none;
  const bool adds = residual && (epilogue == Activation::none || ctx.recorder() == nullptr) && fused;
  const Tensor added = adds ? residual : Tensor();
  const kernels::Window& window = shape.window;
  const bool pointwise =
      window.kernel_h == 1 && window.kernel_w == 1 && options.stride == 1 && options.groups == 1;
  Tensor y = pointwise ? folded_matmul(ctx, x, kernel, false, false, bias, epilogue, output_of(shape), added)
                       : convolve(ctx, false, shape, x, kernel, bias, epilogue, added);
  if (!fused) y = activation(ctx, y, options.activation);
  return residual && !adds ? add(ctx, y, residual) : y;
}

Tensor depthwise_conv2d(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias,
                        const ConvOptions& options) {
  const ConvShape shape = depthwise_shape(x.spec(), kernel.spec(), options);
  const bool fused = fuses(ctx, options.activation);
  const Activation epilogue = fused ? options.activation : Activation::none;
  const Tensor y = convolve(ctx, true, shape, x, kernel, bias, epilogue, {});
  return fused ? y : activation(ctx, y, options.activation);
}

}  // namespace pila::ops
