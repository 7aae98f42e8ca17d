// libpila_video.so.
#include "apps/media/video_module.h"

#include <algorithm>
#include <cstdlib>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <string>

namespace pila::media {
namespace {

// What `work` says; false for what it throws.
template <class Work>
bool succeeds(const Work& work) noexcept {
  try {
    return work();
  } catch (...) {
    return false;
  }
}

class CapturedVideo final : public RawVideo {
 public:
  bool open(const VideoRequest& request) {
    switch (request.kind) {
      case VideoKind::file:
        // Those of OpenCV's back ends that read files; asked for one by one, since the others take a file's
        // name for a camera or for a series of pictures.
        return open_one_of({cv::CAP_FFMPEG, cv::CAP_GSTREAMER, cv::CAP_OPENCV_MJPEG}, request.name);
      case VideoKind::address:
        return open_one_of({cv::CAP_FFMPEG, cv::CAP_GSTREAMER}, request.name);
      case VideoKind::pipeline:
        return open_one_of({cv::CAP_GSTREAMER}, request.name);
      case VideoKind::camera:
        return open_one_of({cv::CAP_V4L2}, request.name) && set_up(request);
    }
    return false;
  }

  void release() noexcept override {
    succeeds([&] { return capture_.release(), true; });
    delete this;
  }
  bool grab() noexcept override {
    return succeeds([&] { return capture_.grab(); });
  }
  bool decode(std::int64_t& width, std::int64_t& height) noexcept override {
    if (!succeeds([&] { return capture_.retrieve(pixels_) && pixels_.depth() == CV_8U; })) return false;
    width = pixels_.cols;
    height = pixels_.rows;
    return !pixels_.empty();
  }
  bool copy(std::uint8_t* pixels) noexcept override {
    return succeeds([&] {
      cv::Mat rgb(pixels_.rows, pixels_.cols, CV_8UC3, pixels);
      cv::cvtColor(pixels_, rgb, pixels_.channels() == 1 ? cv::COLOR_GRAY2RGB : cv::COLOR_BGR2RGB);
      return rgb.data == pixels;
    });
  }
  double frames() noexcept override { return get(cv::CAP_PROP_FRAME_COUNT); }
  double fps() noexcept override { return get(cv::CAP_PROP_FPS); }
  double position_ms() noexcept override { return get(cv::CAP_PROP_POS_MSEC); }

 private:
  bool open_one_of(std::initializer_list<int> backends, const char* name) {
    return std::any_of(backends.begin(), backends.end(),
                       [&](int backend) { return succeeds([&] { return capture_.open(name, backend); }); });
  }

  bool set_up(const VideoRequest& request) {
    // Over USB, larger pictures come at full rate only as JPEG; a camera without it keeps what it has.
    if (request.width > 640 || request.height > 480) {
      capture_.set(cv::CAP_PROP_FOURCC, cv::VideoWriter::fourcc('M', 'J', 'P', 'G'));
    }
    if (request.width > 0) capture_.set(cv::CAP_PROP_FRAME_WIDTH, request.width);
    if (request.height > 0) capture_.set(cv::CAP_PROP_FRAME_HEIGHT, request.height);
    if (request.fps > 0) capture_.set(cv::CAP_PROP_FPS, request.fps);
    constexpr double kByHand = 1, kByItself = 3;  // V4L2's words
    return fix(request, request.exposure, "exposure", cv::CAP_PROP_AUTO_EXPOSURE, kByHand, kByItself,
               cv::CAP_PROP_EXPOSURE) &&
           fix(request, request.focus, "focus", cv::CAP_PROP_AUTOFOCUS, 0, 1, cv::CAP_PROP_FOCUS) &&
           fix(request, request.white_balance, "white balance", cv::CAP_PROP_AUTO_WB, 0, 1,
               cv::CAP_PROP_WB_TEMPERATURE);
  }

  // Cameras keep their settings from one program to the next: so what is not fixed is made automatic.
  bool fix(const VideoRequest& request, const double* value, const char* name, int automatic, double off,
           double on, int property) {
    capture_.set(automatic, value == nullptr ? on : off);
    if (value == nullptr || capture_.set(property, *value)) return true;
    if (request.refused != nullptr) *request.refused = name;
    return false;
  }

  double get(int property) noexcept {
    double value = 0;
    succeeds([&] { return value = capture_.get(property), true; });
    return value;
  }

  cv::VideoCapture capture_;
  cv::Mat pixels_;
};

class EncodedVideo final : public RawVideoWriter {
 public:
  bool open(const char* file, const char* fourcc, cv::Size size, double fps) {
    size_ = size;
    return writer_.open(file, cv::CAP_FFMPEG,
                        cv::VideoWriter::fourcc(fourcc[0], fourcc[1], fourcc[2], fourcc[3]), fps, size);
  }
  void release() noexcept override {
    succeeds([&] { return writer_.release(), true; });
    delete this;
  }
  bool write(const std::uint8_t* pixels) noexcept override {
    return succeeds([&] {
      cv::cvtColor(cv::Mat(size_, CV_8UC3, const_cast<std::uint8_t*>(pixels)), bgr_, cv::COLOR_RGB2BGR);
      writer_.write(bgr_);
      return true;
    });
  }

 private:
  cv::VideoWriter writer_;
  cv::Size size_;
  cv::Mat bgr_;
};

template <class Raw, class... Arguments>
Raw* open_or_null(const Arguments&... arguments) noexcept {
  Raw* raw = nullptr;
  if (succeeds([&] { return (raw = new Raw)->open(arguments...); })) return raw;
  if (raw != nullptr) raw->release();
  return nullptr;
}

RawVideo* open(const VideoRequest& request) noexcept { return open_or_null<CapturedVideo>(request); }

RawVideoWriter* create(const char* file, const char* fourcc, int width, int height, double fps) noexcept {
  return open_or_null<EncodedVideo>(file, fourcc, cv::Size(width, height), fps);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const VideoModule* pila_video_module() {
  static const VideoModule module = [] {
    // Silence, unless a person has asked for more. -8 is FFmpeg's word for it.
    setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);
    if (std::getenv("OPENCV_LOG_LEVEL") == nullptr)
      cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    return VideoModule{kVideoModuleVersion, open, create};
  }();
  return &module;
}

}  // namespace pila::media
