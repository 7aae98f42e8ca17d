#include "apps/media/image_header.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <string_view>

#include "engine/core/error.h"

namespace pila::media {
namespace {

// The first image directory of a TIFF stream, which is also what EXIF is.
struct TiffDirectory {
  std::int64_t width = 0, height = 0;
  int orientation = 1;
};

TiffDirectory read_tiff(Bytes tiff) {
  constexpr std::uint32_t kWidth = 0x100, kHeight = 0x101, kOrientation = 0x112;
  constexpr std::uint32_t kShort = 3;
  constexpr std::size_t kEntryBytes = 12;
  const bool big = has(tiff, 0, "MM");
  const std::size_t directory = number(tiff, 4, 4, big);
  const std::uint32_t entries = number(tiff, directory, 2, big);
  TiffDirectory result;
  for (std::uint32_t i = 0; i < entries; ++i) {
    const Bytes entry = part(tiff, directory + 2 + i * kEntryBytes, kEntryBytes);
    if (entry.size() < kEntryBytes) break;
    const std::uint32_t value = number(entry, 8, number(entry, 2, 2, big) == kShort ? 2 : 4, big);
    switch (number(entry, 0, 2, big)) {
      case kWidth:
        result.width = value;
        break;
      case kHeight:
        result.height = value;
        break;
      case kOrientation:
        if (value >= 1 && value <= 8) result.orientation = static_cast<int>(value);
        break;
      default:
        break;
    }
  }
  return result;
}

// The orientation in an EXIF block, with or without the "Exif" that JPEG puts before it.
int exif_orientation(Bytes exif) {
  constexpr std::string_view kPrefix{"Exif\0\0", 6};
  if (has(exif, 0, kPrefix)) exif = part(exif, kPrefix.size());
  return read_tiff(exif).orientation;
}

ImageHeader read_jpeg(Bytes bytes) {
  constexpr std::uint8_t kEnd = 0xD9, kApp1 = 0xE1;
  const auto is_frame = [](std::uint8_t marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
  };
  const auto stands_alone = [](std::uint8_t marker) {
    return marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
  };
  ImageHeader header{.format = ImageFormat::jpeg, .complete = false};
  std::size_t at = 2;
  while (at + 1 < bytes.size()) {
    if (bytes[at] != 0xFF || bytes[at + 1] == 0xFF) {  // compressed data, or filling before a marker
      ++at;
      continue;
    }
    const std::uint8_t marker = bytes[at + 1];
    at += 2;
    if (marker == kEnd) {
      header.complete = true;
      break;
    }
    if (stands_alone(marker)) continue;
    const std::size_t length = big16(bytes, at);
    const Bytes segment = part(bytes, at + 2, length < 2 ? 0 : length - 2);
    if (is_frame(marker) && header.width == 0) {
      header.height = big16(segment, 1);
      header.width = big16(segment, 3);
    } else if (marker == kApp1 && has(segment, 0, "Exif")) {
      header.orientation = exif_orientation(segment);
    }
    at += std::max<std::size_t>(length, 2);
  }
  return header;
}

ImageHeader read_png(Bytes bytes) {
  ImageHeader header{
      .format = ImageFormat::png, .width = big32(bytes, 16), .height = big32(bytes, 20), .complete = false};
  constexpr std::size_t kAround = 12;  // length, name and checksum
  for (std::size_t at = 8; at + kAround <= bytes.size();) {
    const std::size_t length = big32(bytes, at);
    if (has(bytes, at + 4, "eXIf")) header.orientation = exif_orientation(part(bytes, at + 8, length));
    if (has(bytes, at + 4, "IEND")) {
      header.complete = true;
      break;
    }
    at += kAround + length;
  }
  return header;
}

ImageHeader read_webp(Bytes bytes) {
  ImageHeader header{.format = ImageFormat::webp};
  // Some writers leave out the odd last byte that the size counts.
  header.complete = bytes.size() + 1 >= static_cast<std::size_t>(little32(bytes, 4)) + 8;
  for (std::size_t at = 12; at + 8 <= bytes.size();) {
    const std::size_t length = little32(bytes, at + 4);
    const Bytes chunk = part(bytes, at + 8, length);
    const bool sized = header.width > 0;
    if (has(bytes, at, "VP8X")) {
      header.width = little24(chunk, 4) + 1;
      header.height = little24(chunk, 7) + 1;
      header.animated = !chunk.empty() && (chunk[0] & 0x02) != 0;
    } else if (has(bytes, at, "VP8 ") && !sized) {
      header.width = little16(chunk, 6) & 0x3FFF;
      header.height = little16(chunk, 8) & 0x3FFF;
    } else if (has(bytes, at, "VP8L") && !sized) {
      const std::uint32_t sizes = little32(chunk, 1);
      header.width = (sizes & 0x3FFF) + 1;
      header.height = (sizes >> 14 & 0x3FFF) + 1;
    } else if (has(bytes, at, "EXIF")) {
      header.orientation = exif_orientation(chunk);
    }
    at += 8 + length + length % 2;
  }
  return header;
}

ImageHeader read_gif(Bytes bytes) {
  return {.format = ImageFormat::gif, .width = little16(bytes, 6), .height = little16(bytes, 8)};
}

ImageHeader read_bmp(Bytes bytes) {
  constexpr std::uint32_t kOldHeaderBytes = 12;
  ImageHeader header{.format = ImageFormat::bmp};
  if (little32(bytes, 14) == kOldHeaderBytes) {
    header.width = little16(bytes, 18);
    header.height = little16(bytes, 20);
  } else {  // a negative height means that the top row comes first
    header.width = static_cast<std::int32_t>(little32(bytes, 18));
    header.height = std::abs(static_cast<std::int64_t>(static_cast<std::int32_t>(little32(bytes, 22))));
  }
  return header;
}

ImageHeader read_tiff_header(Bytes bytes) {
  const TiffDirectory directory = read_tiff(bytes);
  return {.format = ImageFormat::tiff, .width = directory.width, .height = directory.height};
}

}  // namespace

ImageFormat sniff_format(Bytes bytes) {
  if (has(bytes, 0, "\xFF\xD8\xFF")) return ImageFormat::jpeg;
  if (has(bytes, 0, "\x89PNG\r\n\x1A\n")) return ImageFormat::png;
  if (has(bytes, 0, "RIFF") && has(bytes, 8, "WEBP")) return ImageFormat::webp;
  if (has(bytes, 0, "GIF87a") || has(bytes, 0, "GIF89a")) return ImageFormat::gif;
  constexpr std::string_view kZeros{"\0\0\0\0", 4};  // reserved: "BM" alone begins many texts
  if (has(bytes, 0, "BM") && has(bytes, 6, kZeros)) return ImageFormat::bmp;
  if (has(bytes, 0, {"II*\0", 4}) || has(bytes, 0, {"MM\0*", 4})) return ImageFormat::tiff;
  return ImageFormat::unknown;
}

const char* name_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return "JPEG";
    case ImageFormat::png:
      return "PNG";
    case ImageFormat::webp:
      return "WebP";
    case ImageFormat::gif:
      return "GIF";
    case ImageFormat::bmp:
      return "BMP";
    case ImageFormat::tiff:
      return "TIFF";
    case ImageFormat::unknown:
      break;
  }
  return "unknown";
}

std::string describe_unknown(Bytes bytes) {
  if (bytes.empty()) return "an empty file";
  struct Kind {
    std::size_t offset;
    std::string_view magic;
    const char* name;
  };
  static constexpr std::array<Kind, 16> kKinds = {{
      {4, "ftypheic", "a HEIC picture, which is not supported"},
      {4, "ftypheix", "a HEIC picture, which is not supported"},
      {4, "ftypmif1", "a HEIF picture, which is not supported"},
      {4, "ftypavif", "an AVIF picture, which is not supported"},
      {4, "ftyp", "a video"},
      {0, "\xFF\x0A", "a JPEG XL picture, which is not supported"},
      {4, "JXL ", "a JPEG XL picture, which is not supported"},
      {4, "jP  ", "a JPEG 2000 picture, which is not supported"},
      {0, "%PDF", "a PDF document"},
      {0, "PK\x03\x04", "a ZIP archive"},
      {0, "\x89HDF", "an HDF5 file"},
      {0, "<svg", "an SVG drawing, which is not supported"},
      {0, "<?xml", "an XML document"},
      {0, "<!DOCTYPE", "an HTML page"},
      {0, "<!doctype", "an HTML page"},
      {0, "<html", "an HTML page"},
  }};
  for (const auto& kind : kKinds) {
    if (has(bytes, kind.offset, kind.magic)) return kind.name;
  }
  return "not a picture (JPEG, PNG, WebP, GIF, BMP or TIFF)";
}

ImageHeader read_image_header(Bytes bytes) {
  ImageHeader header;
  switch (sniff_format(bytes)) {
    case ImageFormat::jpeg:
      header = read_jpeg(bytes);
      break;
    case ImageFormat::png:
      header = read_png(bytes);
      break;
    case ImageFormat::webp:
      header = read_webp(bytes);
      break;
    case ImageFormat::gif:
      header = read_gif(bytes);
      break;
    case ImageFormat::bmp:
      header = read_bmp(bytes);
      break;
    case ImageFormat::tiff:
      header = read_tiff_header(bytes);
      break;
    case ImageFormat::unknown:
      throw FileError(describe_unknown(bytes));
  }
  const std::string name = name_of(header.format);
  if (header.width <= 0 || header.height <= 0) {
    throw FileError("the " + name + " has no size in its header: the file is damaged or cut off");
  }
  return header;
}

}  // namespace pila::media
