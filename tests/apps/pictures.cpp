#include "tests/apps/pictures.h"

#include <gif_lib.h>
#include <zlib.h>

#include <algorithm>
#include <iterator>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>
#include <string_view>

namespace pila::test {
namespace {

template <class Range>
void append(FileBytes& bytes, const Range& more) {
  std::copy(more.begin(), more.end(), std::back_inserter(bytes));
}
void append(FileBytes& bytes, const char* text) { append(bytes, std::string_view(text)); }

void append_number(FileBytes& bytes, std::uint32_t value, int size, bool big_endian) {
  for (int i = 0; i < size; ++i) {
    const int shift = 8 * (big_endian ? size - 1 - i : i);
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

FileBytes png_chunk(const std::string& type, const FileBytes& data) {
  FileBytes named;
  append(named, type);
  append(named, data);
  FileBytes chunk;
  append_number(chunk, static_cast<std::uint32_t>(data.size()), 4, true);
  append(chunk, named);
  append_number(chunk, static_cast<std::uint32_t>(crc32(0, named.data(), static_cast<uInt>(named.size()))), 4,
                true);
  return chunk;
}

FileBytes png_start(std::uint32_t width, std::uint32_t height, std::uint8_t color_type) {
  FileBytes header;
  append_number(header, width, 4, true);
  append_number(header, height, 4, true);
  append(header, FileBytes{8, color_type, 0, 0, 0});
  FileBytes png;
  append(png, "\x89PNG\r\n\x1A\n");
  append(png, png_chunk("IHDR", header));
  return png;
}

FileBytes deflate_bytes(const FileBytes& data) {
  uLongf size = compressBound(static_cast<uLong>(data.size()));
  FileBytes packed(size);
  if (compress(packed.data(), &size, data.data(), static_cast<uLong>(data.size())) != Z_OK) {
    throw std::runtime_error("zlib");
  }
  packed.resize(size);
  return packed;
}

void append_riff_chunk(FileBytes& riff, std::string_view type, const FileBytes& data) {
  append(riff, type);
  append_number(riff, static_cast<std::uint32_t>(data.size()), 4, false);
  append(riff, data);
  if (data.size() % 2 != 0) riff.push_back(0);
}

int append_to(GifFileType* gif, const GifByteType* bytes, int count) {
  auto& file = *static_cast<FileBytes*>(gif->UserData);
  file.insert(file.end(), bytes, bytes + count);
  return count;
}

void check_gif(int result) {
  if (result != GIF_OK) throw std::runtime_error("giflib");
}

}  // namespace

cv::Mat quadrants(int half_width, int half_height) {
  cv::Mat pixels(2 * half_height, 2 * half_width, CV_8UC3);
  const cv::Scalar red(0, 0, 255), green(0, 255, 0), blue(255, 0, 0), yellow(0, 255, 255);
  pixels(cv::Rect(0, 0, half_width, half_height)).setTo(red);
  pixels(cv::Rect(half_width, 0, half_width, half_height)).setTo(green);
  pixels(cv::Rect(0, half_height, half_width, half_height)).setTo(blue);
  pixels(cv::Rect(half_width, half_height, half_width, half_height)).setTo(yellow);
  return pixels;
}

FileBytes encode(const std::string& ending, const cv::Mat& pixels) {
  constexpr int kLossless = 101;
  FileBytes bytes;
  if (!cv::imencode(ending, pixels, bytes,
                    {cv::IMWRITE_WEBP_QUALITY, kLossless, cv::IMWRITE_JPEG_QUALITY, 98})) {
    throw std::runtime_error("cannot encode " + ending);
  }
  return bytes;
}

FileBytes exif_block(int orientation, bool big_endian) {
  FileBytes exif;
  append(exif, big_endian ? "MM" : "II");
  append_number(exif, 42, 2, big_endian);
  append_number(exif, 8, 4, big_endian);       // where the directory begins
  append_number(exif, 1, 2, big_endian);       // entries
  append_number(exif, 0x0112, 2, big_endian);  // orientation
  append_number(exif, 3, 2, big_endian);       // a 16-bit number
  append_number(exif, 1, 4, big_endian);       // one of them
  append_number(exif, static_cast<std::uint32_t>(orientation), 2, big_endian);
  append_number(exif, 0, 2, big_endian);
  append_number(exif, 0, 4, big_endian);  // no further directory
  return exif;
}

FileBytes jpeg_with_exif(const FileBytes& jpeg, const FileBytes& exif) {
  FileBytes segment = {0xFF, 0xE1};
  append_number(segment, static_cast<std::uint32_t>(2 + 6 + exif.size()), 2, true);
  append(segment, std::string_view("Exif\0\0", 6));
  append(segment, exif);
  FileBytes result = jpeg;
  result.insert(result.begin() + 2, segment.begin(), segment.end());
  return result;
}

FileBytes png_with_chunk(const FileBytes& png, const std::string& type, const FileBytes& data) {
  constexpr int kBehindHeader = 8 + 25;
  const FileBytes chunk = png_chunk(type, data);
  FileBytes result = png;
  result.insert(result.begin() + kBehindHeader, chunk.begin(), chunk.end());
  return result;
}

FileBytes webp_with_exif(const FileBytes& webp, int width, int height, const FileBytes& exif) {
  constexpr std::uint8_t kHasExif = 0x08;
  FileBytes extended = {kHasExif, 0, 0, 0};
  append_number(extended, static_cast<std::uint32_t>(width - 1), 3, false);
  append_number(extended, static_cast<std::uint32_t>(height - 1), 3, false);
  FileBytes chunks;
  append(chunks, "WEBP");
  append_riff_chunk(chunks, "VP8X", extended);
  chunks.insert(chunks.end(), webp.begin() + 12, webp.end());  // the picture's own chunk
  append_riff_chunk(chunks, "EXIF", exif);
  FileBytes riff;
  append_riff_chunk(riff, "RIFF", chunks);
  return riff;
}

FileBytes palette_png(int width, int height, const FileBytes& indices, const FileBytes& palette,
                      const FileBytes& alphas) {
  constexpr std::uint8_t kPalette = 3;
  FileBytes png = png_start(static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), kPalette);
  append(png, png_chunk("PLTE", palette));
  if (!alphas.empty()) append(png, png_chunk("tRNS", alphas));
  FileBytes rows;
  for (int y = 0; y < height; ++y) {
    rows.push_back(0);  // no filter
    rows.insert(rows.end(), indices.begin() + y * width, indices.begin() + (y + 1) * width);
  }
  append(png, png_chunk("IDAT", deflate_bytes(rows)));
  append(png, png_chunk("IEND", {}));
  return png;
}

FileBytes png_header_only(std::uint32_t width, std::uint32_t height) {
  constexpr std::uint8_t kRgb = 2;
  FileBytes png = png_start(width, height, kRgb);
  append(png, png_chunk("IEND", {}));
  return png;
}

FileBytes gif(int screen_width, int screen_height, int left, int top, int width, int height,
              const FileBytes& indices, int transparent, bool interlaced) {
  FileBytes file;
  GifFileType* writer = EGifOpen(&file, append_to, nullptr);
  if (writer == nullptr) throw std::runtime_error("giflib");
  const GifColorType colors[] = {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {0, 0, 255}};
  ColorMapObject* map = GifMakeMapObject(4, colors);
  EGifSetGifVersion(writer, true);
  check_gif(EGifPutScreenDesc(writer, screen_width, screen_height, 8, 0, map));
  const GraphicsControlBlock control{DISPOSAL_UNSPECIFIED, false, 0, transparent};
  GifByteType packed[4];
  EGifGCBToExtension(&control, packed);
  check_gif(EGifPutExtension(writer, GRAPHICS_EXT_FUNC_CODE, sizeof packed, packed));
  check_gif(EGifPutImageDesc(writer, left, top, width, height, interlaced, nullptr));
  std::vector<int> order;
  if (interlaced) {
    for (int y = 0; y < height; y += 8) order.push_back(y);
    for (int y = 4; y < height; y += 8) order.push_back(y);
    for (int y = 2; y < height; y += 4) order.push_back(y);
    for (int y = 1; y < height; y += 2) order.push_back(y);
  } else {
    for (int y = 0; y < height; ++y) order.push_back(y);
  }
  for (const int y : order) {
    FileBytes line(indices.begin() + y * width, indices.begin() + (y + 1) * width);
    check_gif(EGifPutLine(writer, line.data(), width));
  }
  check_gif(EGifCloseFile(writer, nullptr));
  GifFreeMapObject(map);
  return file;
}

FileBytes red_cmyk_jpeg() {
  return {0xFF, 0xD8, 0xFF, 0xEE, 0x00, 0x0E, 0x41, 0x64, 0x6F, 0x62, 0x65, 0x00, 0x64, 0x00, 0x00,
          0x00, 0x00, 0x00, 0xFF, 0xDB, 0x00, 0x43, 0x00, 0x02, 0x01, 0x01, 0x01, 0x01, 0x01, 0x02,
          0x01, 0x01, 0x01, 0x02, 0x02, 0x02, 0x02, 0x02, 0x04, 0x03, 0x02, 0x02, 0x02, 0x02, 0x05,
          0x04, 0x04, 0x03, 0x04, 0x06, 0x05, 0x06, 0x06, 0x06, 0x05, 0x06, 0x06, 0x06, 0x07, 0x09,
          0x08, 0x06, 0x07, 0x09, 0x07, 0x06, 0x06, 0x08, 0x0B, 0x08, 0x09, 0x0A, 0x0A, 0x0A, 0x0A,
          0x0A, 0x06, 0x08, 0x0B, 0x0C, 0x0B, 0x0A, 0x0C, 0x09, 0x0A, 0x0A, 0x0A, 0xFF, 0xC0, 0x00,
          0x14, 0x08, 0x00, 0x08, 0x00, 0x08, 0x04, 0x43, 0x11, 0x00, 0x4D, 0x11, 0x00, 0x59, 0x11,
          0x00, 0x4B, 0x11, 0x00, 0xFF, 0xC4, 0x00, 0x15, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00,
          0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x0A, 0xFF, 0xC4, 0x00,
          0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
          0x00, 0x00, 0x00, 0x00, 0xFF, 0xDA, 0x00, 0x0E, 0x04, 0x43, 0x00, 0x4D, 0x00, 0x59, 0x00,
          0x4B, 0x00, 0x00, 0x3F, 0x00, 0x7F, 0x13, 0xFE, 0x9F, 0xF3, 0xF8, 0xFF, 0xD9};
}

}  // namespace pila::test
