#include "apps/capture/source_uri.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <string_view>

#include "apps/media/image_file.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

constexpr const char* kKinds =
    "an image, a folder, a video file, camera:N, /dev/videoN, csi://N, rtsp://..., http://... or "
    "gst:PIPELINE";

std::string number_in(const std::string& uri, std::string_view beginning) {
  const std::string number = uri.substr(beginning.size());
  const bool digits = std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (number.empty() || number.size() > 4 || !digits)
    throw UsageError(uri + ": a number is expected after " + std::string(beginning));
  return number;
}

}  // namespace

SourceUri parse_source(const std::string& uri) {
  const auto begins = [&](std::string_view with) { return uri.starts_with(with); };
  if (uri.empty()) throw UsageError(std::string("a source is expected: ") + kKinds);
  if (begins("camera:")) return {SourceKind::camera, "/dev/video" + number_in(uri, "camera:")};
  if (begins("/dev/video")) return {SourceKind::camera, uri};
  if (begins("csi://")) return {SourceKind::csi, number_in(uri, "csi://")};
  if (begins("gst:")) {
    const std::string pipeline = uri.substr(4);
    if (pipeline.find_first_not_of(' ') == std::string::npos)
      throw UsageError(uri + ": a pipeline of GStreamer is expected after it");
    return {SourceKind::pipeline, pipeline};
  }
  for (const std::string_view scheme : {"rtsp://", "rtsps://", "http://", "https://"}) {
    if (!begins(scheme)) continue;
    if (uri.size() == scheme.size()) throw UsageError(uri + ": an address is expected after it");
    return {SourceKind::address, uri};
  }
  if (uri.find("://") != std::string::npos) throw UsageError(uri + ": no source; one is " + kKinds);
  std::error_code error;
  const auto status = fs::status(uri, error);
  if (!fs::exists(status)) throw FileError(uri + ": no such file or folder");
  const bool stills = fs::is_directory(status) || media::looks_like_image(uri);
  return {stills ? SourceKind::stills : SourceKind::video, uri};
}

void check_source_options(SourceKind kind, const SourceOptions& options) {
  const auto expect = [&](bool good, const std::string& what) {
    if (!good) throw UsageError(options.uri + ": " + what);
  };
  const bool camera = kind == SourceKind::camera || kind == SourceKind::csi;
  const bool file = kind == SourceKind::stills || kind == SourceKind::video;
  const bool sized = options.width != 0 || options.height != 0;
  expect(camera || !(sized || options.fps != 0), "size and rate can be asked of a camera alone");
  expect(!sized || (options.width > 0 && options.height > 0),
         "width and height are expected together, above 0");
  expect(options.fps >= 0 && options.fps <= 10000, "a rate of up to 10000 frames a second is expected");
  expect(kind == SourceKind::camera || !(options.exposure || options.focus || options.white_balance),
         "exposure, focus and white balance can be set for camera:N and /dev/videoN alone");
  expect(options.timeout_s > 0 && options.timeout_s <= 86400,
         "a time-out of more than 0 seconds is expected, up to a day");
  expect(options.rotate == 0 || options.rotate == 90 || options.rotate == 180 || options.rotate == 270,
         "it can be rotated by 0, 90, 180 or 270 degrees");
  const Region& region = options.region;
  const bool whole = region.x == 0 && region.y == 0 && region.width == 0 && region.height == 0;
  expect(whole || (region.x >= 0 && region.y >= 0 && region.width > 0 && region.height > 0),
         "a region begins at 0 or more, and is at least a pixel wide and high");
  expect(!options.pace || kind == SourceKind::video, "a video file alone can be given at its own rate");
  expect(options.loop >= 0 && (file || options.loop == 1),
         "only files and folders can be played again, 0 or more times");
}

std::string csi_pipeline(const std::string& sensor, const SourceOptions& options) {
  // nvvidconv's words for a rotation, by quarters of a turn, and for one that is flipped left to right then.
  constexpr std::array<int, 4> kTurned = {0, 3, 2, 1}, kFlipped = {4, 7, 6, 5};
  const bool flipped = options.flip_x != options.flip_y;
  const int quarters = options.rotate / 90 + (options.flip_y ? 2 : 0);  // top to bottom: half a turn more
  const auto method = (flipped ? kFlipped : kTurned)[static_cast<std::size_t>(quarters % 4)];

  std::string asked = "video/x-raw(memory:NVMM)";
  if (options.width > 0)
    asked += ", width=" + std::to_string(options.width) + ", height=" + std::to_string(options.height);
  if (options.fps > 0) asked += ", framerate=" + std::to_string(std::llround(options.fps * 1000)) + "/1000";
  return "nvarguscamerasrc sensor-id=" + sensor + " ! " + asked +
         " ! nvvidconv flip-method=" + std::to_string(method) +
         " ! video/x-raw, format=BGRx ! videoconvert ! video/x-raw, format=BGR"
         " ! appsink max-buffers=1 drop=true sync=false";
}

}  // namespace pila
