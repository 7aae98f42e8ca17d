#include "apps/media/video.h"

#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "apps/media/load_modules.h"
#include "apps/media/stderr_capture.h"
#include "apps/media/video_module.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila::media {
namespace {

[[noreturn]] void fail(const std::string& name, const std::string& why) {
  throw FileError(name + ": " + why);
}

RawVideo* open_file(const fs::path& file) {
  std::error_code error;
  const auto status = fs::status(file, error);
  if (!fs::exists(status)) fail(file.string(), "no such file");
  if (!fs::is_regular_file(status)) fail(file.string(), "a video file is expected, and this is none");
  const VideoModule& module = load_video_module();
  // OpenCV and FFmpeg are silent; this is for the other decoders that are tried on damaged files.
  const StderrCapture quiet(StderrCapture::Company::shared);
  const std::string name = file.string();
  RawVideo* const raw = module.open({.kind = VideoKind::file, .name = name.c_str()});
  if (raw == nullptr) fail(name, "cannot be read as a video: damaged, or of another kind");
  return raw;
}

const double* address_of(const std::optional<double>& value) { return value ? &*value : nullptr; }

}  // namespace

VideoReader::VideoReader(const fs::path& file) : raw_(open_file(file)) {}

VideoReader VideoReader::camera(const std::string& device, const CameraSettings& settings) {
  if (access(device.c_str(), R_OK | W_OK) != 0)
    fail(device, "no camera that can be used: " + std::string(std::strerror(errno)));
  const char* refused = nullptr;
  RawVideo* const raw = load_video_module().open({.kind = VideoKind::camera,
                                                  .name = device.c_str(),
                                                  .width = settings.width,
                                                  .height = settings.height,
                                                  .fps = settings.fps,
                                                  .exposure = address_of(settings.exposure),
                                                  .focus = address_of(settings.focus),
                                                  .white_balance = address_of(settings.white_balance),
                                                  .refused = &refused});
  if (raw != nullptr) return VideoReader(raw);
  if (refused != nullptr)
    fail(device, std::string("the camera does not take the ") + refused + " that is asked for");
  fail(device, "cannot be opened as a camera: it is none, or another program uses it");
}

VideoReader VideoReader::address(const std::string& url) {
  RawVideo* const raw = load_video_module().open({.kind = VideoKind::address, .name = url.c_str()});
  if (raw == nullptr) fail(url, "no video comes from there");
  return VideoReader(raw);
}

VideoReader VideoReader::pipeline(const std::string& description) {
  RawVideo* const raw = load_video_module().open({.kind = VideoKind::pipeline, .name = description.c_str()});
  if (raw == nullptr) {
    fail(description,
         "GStreamer cannot run this pipeline: an element is missing or fails, or there is no appsink at its "
         "end");
  }
  return VideoReader(raw);
}

VideoReader::VideoReader(VideoReader&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}

VideoReader::~VideoReader() {
  if (raw_ != nullptr) raw_->release();
}

std::int64_t VideoReader::frames() const {
  const double count = raw_->frames();
  constexpr double kMost = 1e12;  // damaged headers say anything
  return count >= 1 && count < kMost ? static_cast<std::int64_t>(count) : 0;
}

double VideoReader::fps() const {
  const double fps = raw_->fps();
  constexpr double kMost = 1e5;  // and streams without a rate say what their clock ticks
  return fps > 0 && fps < kMost ? fps : 0;
}

double VideoReader::position_s() const { return raw_->position_ms() / 1000; }

bool VideoReader::grab() { return raw_->grab(); }

bool VideoReader::retrieve(Image& frame) {
  std::int64_t width = 0, height = 0;
  if (!raw_->decode(width, height)) return false;
  frame = {.width = width, .height = height, .pixels = std::move(frame.pixels), .warning = {}};
  frame.pixels.resize(static_cast<std::size_t>(width * height * 3));
  return raw_->copy(frame.pixels.data());
}

}  // namespace pila::media
