// Marks on the frames of a video; quick, unlike Canvas.
#pragma once

#include <string>

#include "apps/media/canvas.h"
#include "apps/media/image.h"

namespace pila::media {

// A frame of pixels around the area, which is cut off at the picture's edges.
void draw_box(Image& image, const Rect& area, const Color& color);

// A dark band at the picture's bottom or top with white text, as large as the picture's height allows;
// shortened where it does not fit. A dot of the colour stands before it.
enum class Band { top, bottom };
void draw_band(Image& image, Band place, const std::string& text, const Color& color);

}  // namespace pila::media
