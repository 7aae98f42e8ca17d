// Random changes to training pictures, with what is random already drawn.
#pragma once

#include "kernels/args/types.h"

namespace pila::kernels {

// What lies beyond a picture's edge: its mirror image (d c b a | a b c d | d c b a), zeros, or the edge's
// pixel again.
enum class FillMode : std::uint8_t { reflect, constant, nearest };

// What is done to one picture; as it stands, nothing. Plain data, to be copied to a device as it is.
struct AugmentPicture {
  // Where the output's pixel (x, y) comes from: (warp[0] x + warp[1] y + warp[2], warp[3] x + warp[4] y +
  // warp[5]), in pixels of the input with their centres on whole numbers.
  float warp[6] = {1, 0, 0, 0, 1, 0};
  float hue = 0;         // added to the hue, in turns from -1 to 1
  float saturation = 1;  // multiplies the saturation, which stays below 1
  float contrast = 1;    // multiplies the distance from each channel's mean over the warped picture
  float brightness = 0;  // added
  std::int32_t erase_top = 0, erase_left = 0, erase_bottom = 0, erase_right = 0;  // the ends are not erased
  float erase_colour[3] = {};
  std::uint32_t key[2] = {};  // of the dropout's draws, low word first
};

// Bilinear warp, then colour, on 0..255: hue and saturation as in HSV (Keras: RandomHue, RandomSaturation),
// contrast about the mean, brightness, both clipped to 0..255 where they are not neutral (Keras:
// RandomContrast, RandomBrightness). Then a rectangle is painted over, elements are dropped, and what
// remains is scaled:
//   y[p,c] = kept ? v[p,c] / (1 - dropout) * scale[c] + offset[c] : offset[c]
// Channel c of the output's pixel p (row by row within its picture) is kept where uniform(word c of
// random_block(key, 0, 0, p)) of kernels/random.h is >= dropout. Images are NHWC with three channels, x of
// uint8; type: float32 or float64.
struct Augment {
  DType type = DType::f32;  // of y
  FillMode fill = FillMode::reflect;
  std::int64_t batch = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0;
  float dropout = 0;  // in [0, 1)
  float scale[3] = {1, 1, 1};
  float offset[3] = {};
  const std::uint8_t* x = nullptr;
  const AugmentPicture* pictures = nullptr;  // on the device, one for each picture
  void* y = nullptr;
};

// y[i] = weight * x[i] + (1 - weight) * x[rows - 1 - i], rows of `count` elements each.
struct MixReversed {
  DType type = DType::f32;
  std::int64_t rows = 0, count = 0;
  double weight = 1;
  const void* x = nullptr;
  void* y = nullptr;
};

}  // namespace pila::kernels
