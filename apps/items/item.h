// One thing that went by under the camera, and what was decided of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "apps/media/image.h"

namespace pila {

// What the network said of one frame.
struct Sighting {
  std::vector<float> log_probabilities;  // by class, at the model's temperature
  double familiarity = 0;                // by the model's score, see Confidence; larger is more alike
};

// Times are seconds of the stream, see Frame.
struct Item {
  std::int64_t number = 0;           // from 1 on
  std::size_t label = 0;             // the most probable class
  bool recognised = true;            // false: "others"
  std::vector<float> probabilities;  // by class
  double familiarity = 0;
  std::int64_t first_frame = 0, last_frame = 0;
  int frames = 0;                // that counted
  double entered = 0, left = 0;  // first and last seen
  double passed = 0;             // when its middle crossed the line
  media::Image picture;          // the frame that counted most
  std::int64_t picture_frame = 0;
};

}  // namespace pila
