// How a picture moves, as the one warp that interpolates it once.
#pragma once

#include <array>
#include <cstdint>

namespace pila {

struct PictureSize {
  std::int64_t height = 0, width = 0;
};

// What Keras' RandomFlip, RandomRotation, RandomZoom and RandomTranslation do, in this order.
struct PictureMovement {
  bool mirrored = false, upside_down = false;
  double turn = 0;                         // counter-clockwise about the centre, 1 being all around
  double height_zoom = 1, width_zoom = 1;  // about the centre; above 1 the picture shrinks
  double down = 0, right = 0;              // in heights and widths
};

// AugmentPicture's warp for a picture that is stretched from one size to another, as preprocess() does, and
// then moved.
std::array<float, 6> warp_of(const PictureMovement& movement, PictureSize from, PictureSize to);

}  // namespace pila
