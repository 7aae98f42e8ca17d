// Convolutions of images that they normalise as they read them, forward and for the kernel's gradient. A tape
// keeps the image as it was before.
#include "engine/ops/norm_gradients.h"
#include "engine/ops/one_pass.h"
#include "engine/ops/support.h"

namespace pila::ops {
namespace {

kernels::Prologue prologue_of(const Tensor& scaling, Activation activation) {
  return {scaling.data(), activation};
}

// Of a 1x1 kernel [1, 1, k, n].
struct Pointwise {
  static constexpr const char* kForward = "normalised_conv2d";
  static constexpr const char* kBackwardFilter = "normalised_conv2d_backward_filter";
  Shape image, kernel;

  Shape output() const { return {image[0], image[1], image[2], kernel[-1]}; }
  std::int64_t rows() const { return image.elements() / image[-1]; }

  kernels::Matmul forward(const Context& ctx, const Tensor& x, const Tensor& w) const {
    kernels::Matmul args;
    args.rounding.to = rounding_of(ctx, x);
    args.m = rows();
    args.n = kernel[-1];
    args.k = image[-1];
    args.a = x.data();
    args.b = w.data();
    return args;
  }
  static void* kernels::Matmul::*result() { return &kernels::Matmul::c; }

  kernels::Matmul backward_filter(const Context& ctx, const Tensor& x, const Tensor& dy) const {
    kernels::Matmul args;
    args.rounding.to = rounding_of(ctx, x);
    args.m = image[-1];
    args.n = kernel[-1];
    args.k = rows();
    args.transpose_a = true;
    args.a = x.data();
    args.b = dy.data();
    return args;
  }
  static void* kernels::Matmul::*filter_result() { return &kernels::Matmul::c; }

  kernels::MatmulGradients gradients(const Context& ctx, const Tensor& x, Activation activation) const {
    kernels::MatmulGradients args;
    args.rounding = rounding_of(ctx, x);
    args.m = rows();
    args.n = kernel[-1];
    args.k = image[-1];
    args.prologue.activation = activation;
    return args;
  }

  Tensor image_gradient(const Context& ctx, const Tensor& dy, const Tensor& w) const {
    return folded_matmul(ctx, dy, w, false, true, {}, Activation::none, image);
  }
};

struct Depthwise {
  static constexpr const char* kForward = "normalised_depthwise_conv2d";
  static constexpr const char* kBackwardFilter = "normalised_depthwise_conv2d_backward_filter";
  kernels::ConvShape shape;
  Shape kernel;

  Shape output() const { return {shape.batch, shape.out_h, shape.out_w, shape.out_c}; }

  kernels::DepthwiseForward forward(const Context&, const Tensor& x, const Tensor& w) const {
    kernels::DepthwiseForward args;
    args.shape = shape;
    args.x = x.data();
    args.w = w.data();
    return args;
  }
  static void* kernels::DepthwiseForward::*result() { return &kernels::DepthwiseForward::y; }

  kernels::DepthwiseBackwardFilter backward_filter(const Context&, const Tensor& x, const Tensor& dy) const {
    kernels::DepthwiseBackwardFilter args;
    args.shape = shape;
    args.x = x.data();
    args.dy = dy.data();
    return args;
  }
  static void* kernels::DepthwiseBackwardFilter::*filter_result() {
    return &kernels::DepthwiseBackwardFilter::dw;
  }

  kernels::DepthwiseGradients gradients(const Context&, const Tensor&, Activation activation) const {
    kernels::DepthwiseGradients args;
    args.shape = shape;
    args.prologue.activation = activation;
    return args;
  }

  Tensor image_gradient(const Context& ctx, const Tensor& dy, const Tensor& w) const {
    return depthwise_image_gradient(ctx, shape, dy, w);
  }
};

// The kernel's gradient from x, scaling and dy.
template <class Kind>
class NormalisedBackwardFilter : public Op {
 public:
  NormalisedBackwardFilter(const Kind& kind, Activation activation) : kind_(kind), activation_(activation) {}
  std::string_view name() const override { return Kind::kBackwardFilter; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    return {{kind_.kernel, inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = kind_.backward_filter(ctx, inputs[0], inputs[2]);
    args.type = inputs[0].type();
    args.prologue = prologue_of(inputs[1], activation_);
    args.*Kind::filter_result() = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of batch normalisation's gradient (its second derivative)");
  }

 private:
  Kind kind_;
  Activation activation_;
};

// Inputs: x, gamma, beta, kernel, mean, variance, scaling.
template <class Kind>
class NormalisedConvolution : public Op {
 public:
  NormalisedConvolution(const Kind& kind, const BatchNormAttributes& norm) : kind_(kind), norm_(norm) {}
  std::string_view name() const override { return Kind::kForward; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), std::array{inputs[0], inputs[3]});
    return {{kind_.output(), inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = kind_.forward(ctx, inputs[0], inputs[3]);
    args.type = inputs[0].type();
    args.prologue = prologue_of(inputs[6], norm_.activation);
    args.*Kind::result() = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool> wanted) const override {
    const unsigned for_image = 1u | 2u | 4u | 8u | 16u | 32u, for_kernel = 1u | 64u;
    const bool image = wanted[0] || wanted[1] || wanted[2];
    return {(image ? for_image : 0u) | (wanted[3] ? for_kernel : 0u), 0};
  }

  // Statistics and scaling follow from x, gamma and beta, whose gradients account for that.
  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    const Tensor &x = args.inputs[0], &w = args.inputs[3], &scaling = args.inputs[6];
    const Tensor& dy = args.output_gradients[0];
    const bool image = args.wanted[0] || args.wanted[1] || args.wanted[2];
    auto [read, kernel, bias] = one_pass_gradients(ctx, kind_.gradients(ctx, x, norm_.activation),
                                                   {x, w, {}, dy, scaling}, {image, args.wanted[3], false});
    std::vector<Tensor> gradients(args.inputs.size());
    if (image) {
      if (!read) read = kind_.image_gradient(ctx, dy, w);
      gradients = batch_norm_gradients(ctx, args, args.inputs[4], args.inputs[5], read, norm_, true);
    }
    if (args.wanted[3]) {
      gradients[3] = kernel ? kernel
                            : apply_to_one<NormalisedBackwardFilter<Kind>>(ctx, {x, scaling, dy}, kind_,
                                                                           norm_.activation);
    }
    return gradients;
  }

 private:
  Kind kind_;
  BatchNormAttributes norm_;
};

template <class Kind>
Tensor convolve(const Context& ctx, const Unnormalised& image, const Tensor& kernel, const Kind& kind) {
  return apply_to_one<NormalisedConvolution<Kind>>(
      ctx, {image.x, image.gamma, image.beta, kernel, image.mean, image.variance, image.scaling}, kind,
      BatchNormAttributes{image.epsilon, image.activation});
}

}  // namespace

Tensor pointwise_conv2d(const Context& ctx, const Unnormalised& image, const Tensor& kernel) {
  const Shape &x = image.x.shape(), &w = kernel.shape();
  if (x.rank() != 4 || w.rank() != 4 || w != Shape{1, 1, x[3], w[3]}) {
    throw_expected(Pointwise::kForward, "an NHWC image and a kernel [1, 1, channels, out]",
                   to_string(std::array{image.x, kernel}));
  }
  return convolve(ctx, image, kernel, Pointwise{x, w});
}

Tensor depthwise_conv2d(const Context& ctx, const Unnormalised& image, const Tensor& kernel,
                        const ConvOptions& options) {
  const auto shape = depthwise_shape(image.x.spec(), kernel.spec(), options);
  return convolve(ctx, image, kernel, Depthwise{shape, kernel.shape()});
}

}  // namespace pila::ops
