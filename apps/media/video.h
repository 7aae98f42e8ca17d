// Moving pictures: the frames of video files, cameras, network streams and GStreamer's pipelines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "apps/media/image.h"

namespace pila::media {

class RawVideo;

// What is asked of a camera. Nothing and 0 leave it to the camera.
struct CameraSettings {
  int width = 0, height = 0;
  double fps = 0;
  std::optional<double> exposure, focus, white_balance;  // fixed values, in the camera's units
};

// Can be moved from thread to thread, and used by one at a time. What it is needed for, OpenCV's video part,
// is loaded by the first one: that takes 0.1 s.
class VideoReader {
 public:
  // Throws FileError, the file's name first, when it is absent or no video that can be read.
  explicit VideoReader(const std::filesystem::path& file);
  // device: /dev/videoN. Throws FileError when it cannot be opened, or lacks a setting that is asked for.
  static VideoReader camera(const std::string& device, const CameraSettings& settings);
  // rtsp:// or http://. Throws FileError, after at most half a minute.
  static VideoReader address(const std::string& url);
  // As gst-launch takes it, ending in an appsink. Throws FileError.
  static VideoReader pipeline(const std::string& description);
  ~VideoReader();
  VideoReader(VideoReader&& other) noexcept;
  VideoReader& operator=(VideoReader&&) = delete;

  // How many frames the file says it has; 0 where it does not say. Not always true.
  std::int64_t frames() const;
  // Frames a second; 0 where it is not known.
  double fps() const;
  // When the frame is to be shown that came last, by the file's own clock; not always sane.
  double position_s() const;

  // Goes on to the next frame; false after the last one that can be read. May block as long as a camera does.
  bool grab();
  // Makes an image of the frame that was grabbed; false when it cannot be decoded.
  bool retrieve(Image& frame);
  // Both.
  bool next(Image& frame) { return grab() && retrieve(frame); }

 private:
  explicit VideoReader(RawVideo* raw) : raw_(raw) {}
  RawVideo* raw_;
};

}  // namespace pila::media
