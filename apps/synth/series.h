// Series of AA batteries that nobody sells: the classes of a belt.
#pragma once

#include "apps/media/image.h"
#include "engine/core/random.h"

namespace pila::synth {

// Neighbours in number share their colours, in about equal parts, so that colours alone do not tell them.
int series_count();
const char* series_name(int series);  // as a class: "voltra_max"

struct Battery {
  static constexpr double kLength = 49.5, kDiameter = 14.5;  // mm, without the pole
};

// The label of one specimen, unrolled as Cylinder wants it. `wear` from 0, fresh from the pack, to 1.
media::Image series_label(int series, Random specimen, double wear);

}  // namespace pila::synth
