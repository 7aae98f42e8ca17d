// Changes to pictures that augmentation's kernels are tried with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "kernels/args/augment.h"

namespace pila::test {

struct Sizes {
  std::int64_t batch, in_h, in_w, out_h, out_w;
};

// Turned by 0.3 and enlarged by a tenth about the centre, stretched to the output, then moved.
inline kernels::AugmentPicture turned(const Sizes& sizes, float move = 0) {
  kernels::AugmentPicture picture;
  const auto from_h = static_cast<float>(sizes.in_h), from_w = static_cast<float>(sizes.in_w);
  const auto to_h = static_cast<float>(sizes.out_h), to_w = static_cast<float>(sizes.out_w);
  const float cosine = 0.9f * std::cos(0.3f), sine = 0.9f * std::sin(0.3f);
  const float entries[] = {cosine * from_w / to_w, -sine * from_w / to_w,  0.1f * from_w + move,
                           sine * from_h / to_h,   cosine * from_h / to_h, -0.1f * from_h + move};
  std::copy(std::begin(entries), std::end(entries), picture.warp);
  return picture;
}

inline kernels::AugmentPicture everything(const Sizes& sizes) {
  kernels::AugmentPicture picture = turned(sizes);
  picture.hue = -0.13f;
  picture.saturation = 1.4f;
  picture.contrast = 1.3f;
  picture.brightness = -20;
  picture.erase_top = static_cast<std::int32_t>(sizes.out_h / 4);
  picture.erase_bottom = static_cast<std::int32_t>(sizes.out_h / 2);
  picture.erase_left = static_cast<std::int32_t>(sizes.out_w / 5);
  picture.erase_right = static_cast<std::int32_t>(sizes.out_w - 1);
  for (int c = 0; c < 3; ++c) picture.erase_colour[c] = 40.0f * static_cast<float>(c + 1);
  picture.key[0] = 0xDEADBEEFu;
  picture.key[1] = 0x12345678u;
  return picture;
}

// How far float32 may lead away on 0..255. A position is good to a few units in the last place of the largest
// coordinate (noise changes by up to 255 from one pixel to the next, along both axes); colours are blended
// and moved in a dozen roundings of numbers up to 255, and multiplied by `gain` in all.
inline double augment_tolerance(const Sizes& sizes, float gain) {
  const auto extent = static_cast<double>(std::max({sizes.in_h, sizes.in_w, sizes.out_h, sizes.out_w}));
  return 255 * 1.2e-7 * (2 * 4 * extent + 40) * static_cast<double>(gain);
}

}  // namespace pila::test
