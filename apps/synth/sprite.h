// A thing as the camera above a belt sees it but for the light, drawn once for many frames.
#pragma once

#include <vector>

#include "apps/synth/thing.h"

namespace pila::synth {

// The picture's x runs along the belt.
struct Blur {
  double focus = 0;   // deviation in pixels
  double motion = 0;  // pixels of way along x while the shutter is open
};

// One pixel; colour and normal are sums over what it covers, to be divided by `cover`.
struct Texel {
  float red = 0, green = 0, blue = 0;
  float normal_x = 0, normal_y = 0, normal_z = 0;
  float metal = 0;
  float cover = 0;   // share of the pixel that the thing covers
  float shadow = 0;  // share of the light that the belt lacks
};

struct Sprite {
  int width = 0, height = 0;
  double height_mm = 0;       // of the surface above the belt, about
  std::vector<Texel> texels;  // [height, width], the thing's middle in the middle
  const Texel& at(int x, int y) const { return texels[static_cast<std::size_t>(y) * width + x]; }
};

// `angle` is that of the thing's length to the belt, in radians.
Sprite draw_sprite(const Thing& thing, double angle, double pixels_per_mm, const Blur& blur);

}  // namespace pila::synth
