// What a picture file says of itself, read from its bytes without decoding it.
#pragma once

#include <cstdint>
#include <string>

#include "apps/media/byte_reader.h"

namespace pila::media {

enum class ImageFormat : std::uint8_t { unknown, jpeg, png, webp, gif, bmp, tiff };

struct ImageHeader {
  ImageFormat format = ImageFormat::unknown;
  std::int64_t width = 0, height = 0;  // as stored, before any rotation
  // How to turn the stored picture upright, as EXIF counts (1: as it is). TIFF is left to its decoder.
  int orientation = 1;
  bool complete = true;   // false when the file ends before its picture does, where the format shows it
  bool animated = false;  // WebP
};

constexpr std::size_t kMagicBytes = 64;  // enough for sniff_format() and describe_unknown()

// By content; `unknown` for anything that decode_image() cannot read.
ImageFormat sniff_format(Bytes bytes);
const char* name_of(ImageFormat format);  // "JPEG"

// What bytes of unknown format seem to be, for people: "a PDF document", "an HTML page", "not a picture".
std::string describe_unknown(Bytes bytes);

// Throws FileError (without a file's name) when the bytes are no picture or their header makes no sense.
ImageHeader read_image_header(Bytes bytes);

}  // namespace pila::media
