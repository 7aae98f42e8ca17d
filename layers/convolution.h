// Convolution layers.
#pragma once

#include <string>

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

// kernel [kh, kw, in, filters], bias [filters] where there is one. Keras: Conv2D.
class Conv2D : public UnaryLayer {
 public:
  Conv2D(Initializer& init, std::string name, std::int64_t in_channels, std::int64_t filters,
         const ConvSpec& spec);
  Tensor forward(const Context& ctx, const Tensor& x) const override;

 private:
  ConvSpec spec_;
};

// depthwise_kernel [kh, kw, channels, 1], bias [channels] where there is one. Keras: DepthwiseConv2D.
class DepthwiseConv2D : public UnaryLayer {
 public:
  DepthwiseConv2D(Initializer& init, std::string name, std::int64_t channels, const ConvSpec& spec);
  Tensor forward(const Context& ctx, const Tensor& x) const override;

 private:
  ConvSpec spec_;
};

}  // namespace pila
