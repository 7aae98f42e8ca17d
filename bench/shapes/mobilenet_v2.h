// The products and convolutions of MobileNetV2, from its architecture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pila::bench {

enum class LayerKind { convolution, depthwise, pointwise, dense };

// One layer that multiplies. A pointwise layer's window is 1x1; a dense layer's image, too.
struct LayerShape {
  std::string name;  // "b4.dw": block 4's depthwise convolution
  LayerKind kind;
  std::int64_t in_size, in_channels;    // in_size x in_size pixels
  std::int64_t out_size, out_channels;  // out_size x out_size pixels
  int kernel, stride;
  bool relu6 = true;      // behind the bias, which every layer has
  bool residual = false;  // the block's input is added last

  // Multiplications and additions for one image.
  double flops() const {
    const double taps = static_cast<double>(kernel) * kernel;
    const double inputs = kind == LayerKind::depthwise ? 1 : static_cast<double>(in_channels);
    return 2 * taps * inputs * static_cast<double>(out_size * out_size * out_channels);
  }
  // Numbers read and written for one image, and those of the weights.
  double activations() const {
    return static_cast<double>(in_size * in_size * in_channels + out_size * out_size * out_channels);
  }
  double weights() const {
    const double inputs = kind == LayerKind::depthwise ? 1 : static_cast<double>(in_channels);
    return static_cast<double>(kernel * kernel) * inputs * static_cast<double>(out_channels);
  }
};

inline std::int64_t mobilenet_v2_channels(double channels) {
  const auto nearest = static_cast<std::int64_t>(channels + 4) / 8 * 8;
  const std::int64_t at_least = nearest < 8 ? 8 : nearest;
  return static_cast<double>(at_least) < 0.9 * channels ? at_least + 8 : at_least;
}

// All layers in order, with the ImageNet top.
inline std::vector<LayerShape> mobilenet_v2_layers(double width, std::int64_t size) {
  struct Stage {
    int expansion, channels, blocks, stride;
  };
  constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                               {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  std::vector<LayerShape> layers;
  std::int64_t pixels = (size + 1) / 2, channels = mobilenet_v2_channels(32 * width);
  layers.push_back({"stem", LayerKind::convolution, size, 3, pixels, channels, 3, 2});
  int block = 0;
  for (const auto& stage : kStages) {
    for (int i = 0; i < stage.blocks; ++i) {
      const std::string prefix = std::string("b").append(std::to_string(++block)).append(".");
      const int stride = i == 0 ? stage.stride : 1;
      const std::int64_t wide = channels * stage.expansion,
                         out = mobilenet_v2_channels(stage.channels * width);
      const std::int64_t smaller = (pixels + stride - 1) / stride;
      if (wide != channels) {
        layers.push_back({prefix + "expand", LayerKind::pointwise, pixels, channels, pixels, wide, 1, 1});
      }
      layers.push_back({prefix + "dw", LayerKind::depthwise, pixels, wide, smaller, wide, 3, stride});
      layers.push_back({prefix + "project", LayerKind::pointwise, smaller, wide, smaller, out, 1, 1, false,
                        stride == 1 && channels == out});
      pixels = smaller;
      channels = out;
    }
  }
  const std::int64_t last = width > 1 ? mobilenet_v2_channels(1280 * width) : 1280;
  layers.push_back({"head", LayerKind::pointwise, pixels, channels, pixels, last, 1, 1});
  layers.push_back({"top", LayerKind::dense, 1, last, 1, 1000, 1, 1, false});
  return layers;
}

}  // namespace pila::bench
