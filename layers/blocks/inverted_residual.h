// The block that MobileNetV2 is made of (Sandler et al., "MobileNetV2: inverted residuals and linear
// bottlenecks", CVPR 2018).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layers/convolution.h"
#include "layers/normalization.h"
#include "layers/weightless.h"

namespace pila {

struct InvertedResidualSpec {
  std::string prefix;  // of the layers' names: "block_3_"
  std::int64_t in_height = 0, in_width = 0, in_channels = 0;
  std::int64_t out_channels = 0;
  int expansion = 6;                        // 1: no expanding convolution
  int stride = 1;                           // 1 or 2
  double epsilon = 1e-3, momentum = 0.999;  // of batch normalisation

  std::int64_t expanded_channels() const { return in_channels * expansion; }
};

// Expand (1x1), depthwise (3x3), project (1x1); the input is added where the output has its shape. Where the
// context recomputes, a tape keeps the narrow input alone. Where nobody asks for gradients and all statistics
// are given, it is one operation.
class InvertedResidual {
 public:
  InvertedResidual(Initializer& init, const InvertedResidualSpec& spec);
  Tensor forward(const Context& ctx, const Tensor& x) const;

  const std::vector<Layer*>& layers() const { return layers_; }  // in Keras' order
  const std::string& name() const;                               // of the last layer
  std::int64_t channels() const { return channels_; }

 private:
  struct Expand {
    Expand(Initializer& init, const InvertedResidualSpec& spec);
    Conv2D conv;
    BatchNormalization bn;
    ActivationLayer relu;
  };
  bool is_followed(const Context& ctx, const Tensor& x) const;
  Tensor compute(const Context& ctx, const Tensor& x) const;
  Tensor compute_by_readers(const Context& ctx, const Tensor& x) const;
  Tensor compute_as_one(const Context& ctx, const Tensor& x) const;

  std::int64_t channels_;
  std::optional<Expand> expand_;
  std::optional<ZeroPadding2D> pad_;  // stands in Keras' list of layers; the depthwise convolution pads
  DepthwiseConv2D depthwise_;
  BatchNormalization depthwise_bn_;
  ActivationLayer depthwise_relu_;
  Conv2D project_;
  BatchNormalization project_bn_;
  std::optional<Add> add_;
  std::vector<Layer*> layers_;
};

}  // namespace pila
