// Frames into a video file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "apps/media/image.h"

namespace pila::media {

class VideoWriter {
 public:
  virtual ~VideoWriter() = default;
  // Throws FileError when it cannot be written, ShapeError for an image of another size.
  virtual void write(const Image& image) = 0;
  // The file has its name from here on; without finish() nothing of that name is touched. Throws FileError
  // when what came to lie on the disk is not whole.
  virtual void finish() = 0;
};

// The ending says the kind: .mp4 (H.264 where OpenCV can write it, else MPEG-4; of an odd width or height,
// the last pixels are left out) or .avi (Motion JPEG: larger, but several times as fast). Throws FileError,
// the file's name first, when it cannot be written; UsageError for another ending, no size or no rate.
std::unique_ptr<VideoWriter> create_video(const std::filesystem::path& file, std::int64_t width,
                                          std::int64_t height, double fps);

}  // namespace pila::media
