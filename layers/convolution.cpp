#include "layers/convolution.h"

#include "layers/mixed_precision.h"

namespace pila {

ops::ConvOptions Convolution::options(Activation activation) const {
  ops::ConvOptions options;
  options.stride = spec_.stride;
  options.padding = spec_.padding;
  options.activation = activation;
  return options;
}

Tensor Convolution::forward(const Context& ctx, const Tensor& x) const {
  return convolve(ctx, x, kernel(), has_bias() ? parameters_[1].value : Tensor(), Activation::none, {});
}

Conv2D::Conv2D(Initializer& init, std::string name, std::int64_t in_channels, std::int64_t filters,
               const ConvSpec& spec)
    : Convolution(std::move(name), "Conv2D", spec) {
  parameters_.push_back({"kernel", init.glorot_uniform({spec.kernel, spec.kernel, in_channels, filters})});
  if (spec.bias) parameters_.push_back({"bias", init.zeros({filters})});
}

Tensor Conv2D::convolve(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias,
                        Activation activation, const Tensor& residual) const {
  return ops::conv2d(ctx, x, rounded_for(ctx, kernel, x), bias, options(activation), residual);
}

DepthwiseConv2D::DepthwiseConv2D(Initializer& init, std::string name, std::int64_t channels,
                                 const ConvSpec& spec)
    : Convolution(std::move(name), "DepthwiseConv2D", spec) {
  parameters_.push_back({"depthwise_kernel", init.glorot_uniform({spec.kernel, spec.kernel, channels, 1})});
  if (spec.bias) parameters_.push_back({"bias", init.zeros({channels})});
}

Tensor DepthwiseConv2D::convolve(const Context& ctx, const Tensor& x, const Tensor& kernel,
                                 const Tensor& bias, Activation activation, const Tensor& residual) const {
  const Tensor y = ops::depthwise_conv2d(ctx, x, rounded_for(ctx, kernel, x), bias, options(activation));
  return residual ? ops::add(ctx, y, residual) : y;
}

}  // namespace pila
