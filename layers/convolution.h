// Convolution layers.
#pragma once

#include <string>
#include <utility>

#include "engine/ops/ops.h"
#include "layers/initializer.h"
#include "layers/layer.h"

namespace pila {

struct ConvSpec {
  int kernel = 1;  // height and width
  int stride = 1;
  ops::Padding padding = ops::Padding::same;
  bool bias = false;
};

// What both kinds have in common: parameters are the kernel, and the bias where there is one.
class Convolution : public UnaryLayer {
 public:
  Tensor forward(const Context& ctx, const Tensor& x) const override;
  // activation(conv(x) + bias) + residual with another kernel and bias of the layer's shapes; bias and
  // residual may be undefined.
  virtual Tensor convolve(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias,
                          Activation activation, const Tensor& residual) const = 0;

  const Tensor& kernel() const { return parameters_[0].value; }
  ops::ConvOptions options(Activation activation = Activation::none) const;
  bool has_bias() const { return spec_.bias; }

 protected:
  Convolution(std::string name, std::string type, const ConvSpec& spec)
      : UnaryLayer(std::move(name), std::move(type)), spec_(spec) {}

 private:
  ConvSpec spec_;
};

// kernel [kh, kw, in, filters], bias [filters] where there is one. Keras: Conv2D.
class Conv2D : public Convolution {
 public:
  Conv2D(Initializer& init, std::string name, std::int64_t in_channels, std::int64_t filters,
         const ConvSpec& spec);
  Tensor convolve(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias,
                  Activation activation, const Tensor& residual) const override;
};

// depthwise_kernel [kh, kw, channels, 1], bias [channels] where there is one. Keras: DepthwiseConv2D.
class DepthwiseConv2D : public Convolution {
 public:
  DepthwiseConv2D(Initializer& init, std::string name, std::int64_t channels, const ConvSpec& spec);
  Tensor convolve(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias,
                  Activation activation, const Tensor& residual) const override;
};

}  // namespace pila
