// What passes between the programs and libpila_video.so, which alone is linked with OpenCV's videoio: plain
// types, and no exceptions.
#pragma once

#include <cstdint>

namespace pila::media {

constexpr int kVideoModuleVersion = 1;

enum class VideoKind : int { file, camera, address, pipeline };

struct VideoRequest {
  VideoKind kind = VideoKind::file;
  const char* name = "";             // path, device, URL, or GStreamer's description
  int width = 0, height = 0;         // of a camera, as below; 0: its own choice
  double fps = 0;                    // 0: its own choice
  const double* exposure = nullptr;  // nullptr: automatic
  const double* focus = nullptr;
  const double* white_balance = nullptr;
  const char** refused = nullptr;  // names the setting that the camera does not have, where that is why
};

class RawVideo {
 public:
  virtual void release() noexcept = 0;  // the end of it
  virtual bool grab() noexcept = 0;
  // Decodes what was grabbed, and says how large it is.
  virtual bool decode(std::int64_t& width, std::int64_t& height) noexcept = 0;
  // What was decoded, as rows of RGB pixels without gaps.
  virtual bool copy(std::uint8_t* pixels) noexcept = 0;
  virtual double frames() noexcept = 0;
  virtual double fps() noexcept = 0;
  virtual double position_ms() noexcept = 0;  // of what was grabbed

 protected:
  ~RawVideo() = default;
};

class RawVideoWriter {
 public:
  virtual void release() noexcept = 0;  // completes the file
  virtual bool write(const std::uint8_t* pixels) noexcept = 0;

 protected:
  ~RawVideoWriter() = default;
};

struct VideoModule {
  int version;
  // Both give nullptr when it cannot be done.
  RawVideo* (*open)(const VideoRequest& request) noexcept;
  RawVideoWriter* (*create)(const char* file, const char* fourcc, int width, int height, double fps) noexcept;
};

// What the library gives.
extern "C" const VideoModule* pila_video_module();

}  // namespace pila::media
