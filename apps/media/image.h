// Pictures from files: upright, opaque, RGB, whatever was stored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/media/byte_reader.h"

namespace pila::media {

// Rows of RGB pixels without gaps.
struct Image {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;  // [height, width, 3]
  std::string warning;               // what a person should know of the file; mostly empty
};

constexpr std::int64_t kDefaultMaxPixels = 100'000'000;

// JPEG, PNG, WebP, GIF (its first picture), BMP or TIFF (its first page), by content. Turned upright as EXIF
// says; 16-bit samples become 8-bit ones; grey and palette become RGB; what is transparent shows white.
// Throws FileError, without a file's name, for anything else, for a file that is cut off (a half grey picture
// would get a confident answer), and for more than max_pixels, before memory is taken for them.
Image decode_image(Bytes bytes, std::int64_t max_pixels = kDefaultMaxPixels);

// The same for a file; errors begin with its name.
Image load_image(const std::filesystem::path& file, std::int64_t max_pixels = kDefaultMaxPixels);

// The two halves of load_image(), for those who want the bytes as well.
std::vector<std::uint8_t> read_image_file(const std::filesystem::path& file);
Image decode_image_file(const std::filesystem::path& file, Bytes bytes,
                        std::int64_t max_pixels = kDefaultMaxPixels);

}  // namespace pila::media
