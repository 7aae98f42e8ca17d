// MobileNetV2 (Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018) as
// keras.applications builds it.
#pragma once

#include <deque>
#include <vector>

#include "layers/blocks/inverted_residual.h"
#include "layers/model.h"

namespace pila {

class MobileNetV2 : public Backbone {
 public:
  // spec.width is the paper's width multiplier, alpha. Throws ShapeError for 0 or less, or more than 4.
  MobileNetV2(Initializer& init, const ModelSpec& spec);

  std::span<Layer* const> layers() const override { return layers_; }
  std::span<const std::size_t> blocks() const override { return block_begins_; }
  std::int64_t channels() const override { return last_channels_; }
  Tensor forward(const Context& ctx, const Tensor& images, const Observer& observe) const override;

 private:
  std::int64_t first_channels_, last_channels_;
  InputLayer input_;
  Conv2D conv1_;
  BatchNormalization bn_conv1_;
  ActivationLayer conv1_relu_;
  std::deque<InvertedResidual> blocks_;  // stay where they are: layers_ points into them
  Conv2D conv_1_;
  BatchNormalization conv_1_bn_;
  ActivationLayer out_relu_;
  std::vector<Layer*> layers_;
  std::vector<std::size_t> block_begins_;
};

}  // namespace pila
