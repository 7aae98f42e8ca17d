#include "layers/convolution.h"

#include <utility>

#include "layers/mixed_precision.h"

namespace pila {
namespace {

ops::ConvOptions options_of(const ConvSpec& spec) {
  ops::ConvOptions options;
  options.stride = spec.stride;
  options.padding = spec.padding;
  return options;
}

}  // namespace

Conv2D::Conv2D(Initializer& init, std::string name, std::int64_t in_channels, std::int64_t filters,
               const ConvSpec& spec)
    : UnaryLayer(std::move(name), "Conv2D"), spec_(spec) {
  parameters_.push_back({"kernel", init.glorot_uniform({spec.kernel, spec.kernel, in_channels, filters})});
  if (spec.bias) parameters_.push_back({"bias", init.zeros({filters})});
}

Tensor Conv2D::forward(const Context& ctx, const Tensor& x) const {
  const Tensor bias = spec_.bias ? parameters_[1].value : Tensor();
  return ops::conv2d(ctx, x, rounded_for(ctx, parameters_[0].value, x), bias, options_of(spec_));
}

DepthwiseConv2D::DepthwiseConv2D(Initializer& init, std::string name, std::int64_t channels,
                                 const ConvSpec& spec)
    : UnaryLayer(std::move(name), "DepthwiseConv2D"), spec_(spec) {
  parameters_.push_back({"depthwise_kernel", init.glorot_uniform({spec.kernel, spec.kernel, channels, 1})});
  if (spec.bias) parameters_.push_back({"bias", init.zeros({channels})});
}

Tensor DepthwiseConv2D::forward(const Context& ctx, const Tensor& x) const {
  const Tensor bias = spec_.bias ? parameters_[1].value : Tensor();
  return ops::depthwise_conv2d(ctx, x, rounded_for(ctx, parameters_[0].value, x), bias, options_of(spec_));
}

}  // namespace pila
