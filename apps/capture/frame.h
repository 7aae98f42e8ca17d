// One picture of a stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "apps/media/image.h"

namespace pila {

struct Frame {
  media::Image image;      // turned and cut out, as the network is to see it
  std::string name;        // the file of a still image; else empty
  std::int64_t index = 0;  // within the source, from 0 on; frames that were dropped or skipped count
  double seconds = 0;      // since the stream's beginning: by a video's own clock, by ours for a camera; of
                           // still images, as if one came a second
  std::chrono::steady_clock::time_point arrived;  // when camera or decoder had it ready
  double decode_ms = 0;                           // a camera's waiting not counted
};

}  // namespace pila
