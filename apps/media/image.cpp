#include "apps/media/image.h"

#include <fstream>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "apps/media/gif.h"
#include "apps/media/image_header.h"
#include "apps/media/stderr_capture.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila::media {
namespace {

// The channels of `pixels` over white by the last one, which is dropped.
template <class Sample, int kOpaque>
cv::Mat over_white(const cv::Mat& pixels) {
  cv::Mat result(pixels.rows, pixels.cols, CV_MAKETYPE(pixels.depth(), 3));
  for (int row = 0; row < pixels.rows; ++row) {
    const Sample* from = pixels.ptr<Sample>(row);
    Sample* to = result.ptr<Sample>(row);
    for (int column = 0; column < pixels.cols; ++column, from += 4, to += 3) {
      const std::uint32_t alpha = from[3];
      for (int c = 0; c < 3; ++c) {
        const std::uint32_t blend = from[c] * alpha + kOpaque * (kOpaque - alpha);
        to[c] = static_cast<Sample>((blend + kOpaque / 2) / kOpaque);
      }
    }
  }
  return result;
}

// Any picture that OpenCV decodes, as 8-bit RGB.
cv::Mat to_rgb(cv::Mat pixels) {
  if (pixels.depth() != CV_8U && pixels.depth() != CV_16U) {
    throw FileError("samples of 8 or 16 bits are expected, and it has others");
  }
  if (pixels.channels() == 4) {
    pixels = pixels.depth() == CV_8U ? over_white<std::uint8_t, 255>(pixels)
                                     : over_white<std::uint16_t, 65535>(pixels);
  }
  if (pixels.depth() == CV_16U) pixels.convertTo(pixels, CV_8U, 1 / 257.0);
  cv::cvtColor(pixels, pixels, pixels.channels() == 1 ? cv::COLOR_GRAY2RGB : cv::COLOR_BGR2RGB);
  return pixels;
}

// Turns a stored picture upright. EXIF's orientations 5 to 8 swap rows and columns first.
cv::Mat upright(cv::Mat pixels, int orientation) {
  constexpr int kBoth = -1, kTopDown = 0, kLeftRight = 1;
  if (orientation >= 5) pixels = pixels.t();
  switch (orientation) {
    case 2:
    case 6:
      cv::flip(pixels, pixels, kLeftRight);
      break;
    case 3:
    case 7:
      cv::flip(pixels, pixels, kBoth);
      break;
    case 4:
    case 8:
      cv::flip(pixels, pixels, kTopDown);
      break;
    default:
      break;
  }
  return pixels;
}

Image from_mat(const cv::Mat& pixels) {
  const cv::Mat dense = pixels.isContinuous() ? pixels : pixels.clone();
  return {dense.cols, dense.rows, {dense.data, dense.data + dense.total() * dense.elemSize()}, {}};
}

bool complains(const std::string& chatter) { return chatter.find("Corrupt JPEG data") != std::string::npos; }

// What the decoder said of damage that it worked around; colour profiles and the like are no one's concern.
std::string damage_in(const std::string& chatter) {
  const bool damaged =
      complains(chatter) && chatter.find("extraneous bytes before marker") == std::string::npos;
  return damaged ? "its data is damaged, parts of the picture may be wrong" : "";
}

struct Decoded {
  cv::Mat pixels;  // empty when that failed
  std::string chatter;
};

Decoded decode_quietly(Bytes bytes, int flags, StderrCapture::Company company) {
  const cv::Mat file(1, static_cast<int>(bytes.size()), CV_8U, const_cast<std::uint8_t*>(bytes.data()));
  Decoded decoded;
  StderrCapture capture(company);
  try {
    decoded.pixels = cv::imdecode(file, flags);
  } catch (const cv::Exception&) {
    decoded.pixels.release();
  }
  decoded.chatter = capture.finish();
  return decoded;
}

Image decode_with_opencv(Bytes bytes, const ImageHeader& header) {
  // OpenCV would turn pictures upright itself, but not in all formats and versions; and the alpha of a BMP
  // means nothing.
  const int flags = header.format == ImageFormat::bmp ? cv::IMREAD_COLOR : cv::IMREAD_UNCHANGED;
  Decoded decoded = decode_quietly(bytes, flags, StderrCapture::Company::shared);
  if (complains(decoded.chatter)) {
    // Several decoders may have spoken at once; whom it was about shows when this one decodes alone.
    decoded = decode_quietly(bytes, flags, StderrCapture::Company::alone);
  }
  if (decoded.pixels.empty())
    throw FileError("the decoder cannot read it: the file is damaged, or of a rare kind");
  Image image = from_mat(upright(to_rgb(std::move(decoded.pixels)), header.orientation));
  image.warning = damage_in(decoded.chatter);
  return image;
}

}  // namespace

Image decode_image(Bytes bytes, std::int64_t max_pixels) {
  const ImageHeader header = read_image_header(bytes);
  const std::string name = name_of(header.format);
  if (header.width > max_pixels / header.height) {
    throw FileError("the " + name + " has " + std::to_string(header.width) + " x " +
                    std::to_string(header.height) + " pixels, at most " + std::to_string(max_pixels) +
                    " are taken");
  }
  if (!header.complete) throw FileError("the " + name + " is cut off: the file ends before the picture does");
  if (header.animated) throw FileError("an animated " + name + ", which is not supported");
  try {
    return header.format == ImageFormat::gif ? decode_gif(bytes, max_pixels)
                                             : decode_with_opencv(bytes, header);
  } catch (const FileError& error) {
    throw FileError(name + ": " + error.what());
  }
}

std::vector<std::uint8_t> read_image_file(const fs::path& file) {
  constexpr std::uintmax_t kMaxBytes = 1u << 30;
  const auto fail = [&](const std::string& why) { throw FileError(file.string() + ": " + why); };
  std::error_code error;
  const auto status = fs::status(file, error);
  if (!fs::exists(status))
    fail(error && error != std::errc::no_such_file_or_directory ? error.message() : "no such file");
  if (!fs::is_regular_file(status)) fail("a picture file is expected, and this is none");
  const auto size = fs::file_size(file, error);
  if (error) fail(error.message());
  if (size > kMaxBytes) fail("a picture of at most 1 GiB is expected, and the file is larger");
  std::ifstream stream(file, std::ios::binary);
  std::vector<std::uint8_t> bytes(size);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!stream) fail("cannot be read");
  return bytes;
}

Image decode_image_file(const fs::path& file, Bytes bytes, std::int64_t max_pixels) {
  try {
    return decode_image(bytes, max_pixels);
  } catch (const FileError& reason) {
    throw FileError(file.string() + ": " + reason.what());
  } catch (const std::bad_alloc&) {
    throw FileError(file.string() + ": not enough memory to decode it");
  }
}

Image load_image(const fs::path& file, std::int64_t max_pixels) {
  return decode_image_file(file, read_image_file(file), max_pixels);
}

}  // namespace pila::media
