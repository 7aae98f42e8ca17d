// Readers of still images and of videos.
#pragma once

#include <filesystem>
#include <functional>

#include "apps/capture/frame_reader.h"
#include "apps/media/video.h"

namespace pila {

// An image, or the images below a folder, sorted by path.
OpenReader stills_reader(const std::filesystem::path& source);

// name: what errors begin with.
OpenReader video_reader(const std::string& name, std::function<media::VideoReader()> open);

}  // namespace pila
