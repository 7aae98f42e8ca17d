// Pictures into files.
#pragma once

#include <filesystem>

#include "apps/media/image.h"

namespace pila::media {

// The file is complete or not there. Throw FileError, the file's name first, for an image without pixels and
// for a place that cannot be written.
void save_png(const Image& image, const std::filesystem::path& file);
void save_jpeg(const Image& image, const std::filesystem::path& file, int quality = 95);  // quality 1 to 100

}  // namespace pila::media
