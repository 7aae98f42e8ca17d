// Pictures into files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "apps/media/image.h"

namespace pila::media {

// The file is complete or not there. Throw FileError, the file's name first, for an image without pixels and
// for a place that cannot be written.
void save_png(const Image& image, const std::filesystem::path& file);
void save_jpeg(const Image& image, const std::filesystem::path& file, int quality = 95);  // quality 1 to 100

// The bytes of such a file. Throws FileError, without a file's name, for an image without pixels.
std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality = 95);

}  // namespace pila::media
