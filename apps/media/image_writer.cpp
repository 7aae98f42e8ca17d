#include "apps/media/image_writer.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "weights/atomic_file.h"

namespace fs = std::filesystem;

namespace pila::media {
namespace {

std::vector<std::uint8_t> encode(const Image& image, const char* ending, const std::vector<int>& options) {
  const auto size = static_cast<std::int64_t>(image.pixels.size());
  if (image.width < 1 || image.height < 1 || size != image.width * image.height * 3) {
    throw FileError("a picture to write is expected, got " + std::to_string(image.width) + " x " +
                    std::to_string(image.height) + " pixels in " + std::to_string(size) + " bytes");
  }
  const cv::Mat rgb(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                    const_cast<std::uint8_t*>(image.pixels.data()));
  cv::Mat bgr;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  std::vector<std::uint8_t> bytes;
  if (!cv::imencode(ending, bgr, bytes, options)) throw FileError("the picture cannot be encoded");
  return bytes;
}

void save(const Image& image, const fs::path& file, const char* ending, const std::vector<int>& options) {
  std::vector<std::uint8_t> bytes;
  try {
    bytes = encode(image, ending, options);
  } catch (const FileError& error) {
    throw FileError(file.string() + ": " + error.what());
  }
  write_atomically(file, std::as_bytes(std::span(bytes)));
}

}  // namespace

void save_png(const Image& image, const fs::path& file) { save(image, file, ".png", {}); }

void save_jpeg(const Image& image, const fs::path& file, int quality) {
  save(image, file, ".jpg", {cv::IMWRITE_JPEG_QUALITY, quality});
}

std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality) {
  return encode(image, ".jpg", {cv::IMWRITE_JPEG_QUALITY, quality});
}

}  // namespace pila::media
