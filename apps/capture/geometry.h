// How a camera's picture is turned, and what of it is looked at.
#pragma once

#include "apps/capture/frame_source.h"

namespace pila {

struct Geometry {
  int rotate = 0;                       // degrees clockwise: 0, 90, 180 or 270
  bool flip_x = false, flip_y = false;  // left and right, top and bottom; after it is rotated
  Region region = {};                   // of what comes of it
};

// Throws UsageError when the region reaches outside of the picture.
void apply(const Geometry& geometry, media::Image& image);

}  // namespace pila
