// The first picture of a GIF, which OpenCV's older versions cannot read.
#pragma once

#include "apps/media/image.h"

namespace pila::media {

// On white where it is transparent or does not fill the screen. Throws FileError without a file's name.
Image decode_gif(Bytes bytes, std::int64_t max_pixels);

}  // namespace pila::media
