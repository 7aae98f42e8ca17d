// Pictures made smaller.
#pragma once

#include "apps/media/image.h"

namespace pila::media {

// Its shape kept, by means over areas; as it is where it fits already, or has no pixels.
Image scaled_down(const Image& image, std::int64_t max_width, std::int64_t max_height);

}  // namespace pila::media
