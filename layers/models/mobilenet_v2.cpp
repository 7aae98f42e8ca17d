#include "layers/models/mobilenet_v2.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/core/error.h"
#include "layers/normalized_convolution.h"

namespace pila {
namespace {

constexpr double kEpsilon = 1e-3, kMomentum = 0.999;
constexpr double kWidest = 4;

// Table 2 of the paper. The first block of a stage takes the stride.
struct Stage {
  int expansion, channels, blocks, stride;
};
constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                             {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

// The multiple of 8 nearest to a number of channels, but not below nine tenths of it.
std::int64_t make_divisible(double channels) {
  const auto nearest = std::max<std::int64_t>(8, static_cast<std::int64_t>(channels + 4) / 8 * 8);
  return static_cast<double>(nearest) < 0.9 * channels ? nearest + 8 : nearest;
}

double checked_width(double width) {
  if (!(width > 0 && width <= kWidest)) {
    throw ShapeError("[mobilenet_v2] expected a width above 0 and at most 4, got " + std::to_string(width));
  }
  return width;
}

std::deque<InvertedResidual> make_blocks(Initializer& init, const ModelSpec& spec, std::int64_t channels) {
  std::deque<InvertedResidual> blocks;
  std::int64_t height = (spec.input_height + 1) / 2, width = (spec.input_width + 1) / 2;  // behind Conv1
  for (const Stage& stage : kStages) {
    for (int i = 0; i < stage.blocks; ++i) {
      InvertedResidualSpec block;
      block.prefix = blocks.empty() ? "expanded_conv_" : "block_" + std::to_string(blocks.size()) + "_";
      block.in_height = height;
      block.in_width = width;
      block.in_channels = channels;
      block.out_channels = make_divisible(std::floor(stage.channels * spec.width));
      block.expansion = stage.expansion;
      block.stride = i == 0 ? stage.stride : 1;
      block.epsilon = kEpsilon;
      block.momentum = kMomentum;
      blocks.emplace_back(init, block);
      channels = block.out_channels;
      height = (height + block.stride - 1) / block.stride;
      width = (width + block.stride - 1) / block.stride;
    }
  }
  return blocks;
}

}  // namespace

MobileNetV2::MobileNetV2(Initializer& init, const ModelSpec& spec)
    : first_channels_(make_divisible(32 * checked_width(spec.width))),
      last_channels_(spec.width > 1 ? make_divisible(1280 * spec.width) : 1280),
      input_("input_layer", spec.input_height, spec.input_width, spec.type),
      conv1_(init, "Conv1", 3, first_channels_, {.kernel = 3, .stride = 2}),
      bn_conv1_(init, "bn_Conv1", first_channels_, kEpsilon, kMomentum),
      conv1_relu_("Conv1_relu", Activation::relu6),
      blocks_(make_blocks(init, spec, first_channels_)),
      conv_1_(init, "Conv_1", blocks_.back().channels(), last_channels_, {.kernel = 1}),
      conv_1_bn_(init, "Conv_1_bn", last_channels_, kEpsilon, kMomentum),
      out_relu_("out_relu", Activation::relu6) {
  layers_ = {&input_, &conv1_, &bn_conv1_, &conv1_relu_};
  block_begins_ = {0};
  for (const InvertedResidual& block : blocks_) {
    block_begins_.push_back(layers_.size());
    layers_.insert(layers_.end(), block.layers().begin(), block.layers().end());
  }
  block_begins_.push_back(layers_.size());
  layers_.insert(layers_.end(), {&conv_1_, &conv_1_bn_, &out_relu_});
}

Tensor MobileNetV2::forward(const Context& ctx, const Tensor& images, const Observer& observe) const {
  const auto show = [&](const std::string& name, const Tensor& output) {
    if (observe) observe(name, output);
  };
  Tensor x = input_.forward(ctx, images);
  x = convolve_normalized(ctx, conv1_, bn_conv1_, x, conv1_relu_.kind());
  show(conv1_relu_.name(), x);
  for (const InvertedResidual& block : blocks_) {
    x = block.forward(ctx, x);
    show(block.name(), x);
  }
  x = convolve_normalized(ctx, conv_1_, conv_1_bn_, x, out_relu_.kind());
  show(out_relu_.name(), x);
  return x;
}

}  // namespace pila
