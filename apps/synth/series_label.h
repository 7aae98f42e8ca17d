// What is printed on a battery of a series.
#pragma once

#include "apps/media/image.h"
#include "apps/synth/series.h"
#include "engine/core/random.h"

namespace pila::synth {

struct Battery {
  static constexpr double kLength = 49.5, kDiameter = 14.5;  // mm, without the pole
};

// The label of one specimen, unrolled as Cylinder wants it. `wear` from 0, fresh from the pack, to 1.
media::Image series_label(const Series& series, Random specimen, double wear);

}  // namespace pila::synth
