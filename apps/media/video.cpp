#include "apps/media/video.h"

#include <algorithm>
#include <cstdlib>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <system_error>

#include "apps/media/stderr_capture.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila::media {
namespace {

// Those of OpenCV's back ends that read files; asked for one by one, since the others take a file's name for
// a camera or for a series of pictures.
constexpr int kBackends[] = {cv::CAP_FFMPEG, cv::CAP_GSTREAMER, cv::CAP_OPENCV_MJPEG};

bool open(cv::VideoCapture& capture, const std::string& file) {
  // FFmpeg's threads write to stderr at any time; -8 is its word for silence. A user's own setting stays.
  setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);
  const StderrCapture quiet(StderrCapture::Company::shared);
  return std::any_of(std::begin(kBackends), std::end(kBackends), [&](int backend) {
    try {
      return capture.open(file, backend);
    } catch (const cv::Exception&) {
      return false;
    }
  });
}

}  // namespace

struct VideoReader::Decoder {
  cv::VideoCapture capture;

  bool grab() {
    const StderrCapture quiet(StderrCapture::Company::shared);
    try {
      return capture.grab();
    } catch (const cv::Exception&) {
      return false;
    }
  }
};

VideoReader::VideoReader(const fs::path& file) : decoder_(std::make_unique<Decoder>()) {
  const auto fail = [&](const std::string& why) { throw FileError(file.string() + ": " + why); };
  std::error_code error;
  const auto status = fs::status(file, error);
  if (!fs::exists(status)) fail("no such file");
  if (!fs::is_regular_file(status)) fail("a video file is expected, and this is none");
  if (!open(decoder_->capture, file.string())) fail("cannot be read as a video: damaged, or of another kind");
}

VideoReader::~VideoReader() = default;

std::int64_t VideoReader::frames() const {
  const double count = decoder_->capture.get(cv::CAP_PROP_FRAME_COUNT);
  constexpr double kMost = 1e12;  // damaged headers say anything
  return count >= 1 && count < kMost ? static_cast<std::int64_t>(count) : 0;
}

bool VideoReader::skip() { return decoder_->grab(); }

bool VideoReader::next(Image& frame) {
  if (!decoder_->grab()) return false;
  cv::Mat pixels;
  try {
    if (!decoder_->capture.retrieve(pixels) || pixels.empty()) return false;
    cv::cvtColor(pixels, pixels, pixels.channels() == 1 ? cv::COLOR_GRAY2RGB : cv::COLOR_BGR2RGB);
  } catch (const cv::Exception&) {
    return false;
  }
  frame = {.width = pixels.cols, .height = pixels.rows, .pixels = {}, .warning = {}};
  frame.pixels.assign(pixels.datastart, pixels.dataend);
  return true;
}

}  // namespace pila::media
