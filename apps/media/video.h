// The frames of a video file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "apps/media/image.h"

namespace pila::media {

class VideoReader {
 public:
  // Throws FileError, the file's name first, when it is absent or no video that can be read.
  explicit VideoReader(const std::filesystem::path& file);
  ~VideoReader();
  VideoReader(const VideoReader&) = delete;
  VideoReader& operator=(const VideoReader&) = delete;

  // How many frames the file says it has; 0 where it does not say. Not always true.
  std::int64_t frames() const;

  // Decodes the next frame; false after the last one that can be read.
  bool next(Image& frame);
  // Passes over the next frame without making an image of it.
  bool skip();

 private:
  struct Decoder;
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace pila::media
