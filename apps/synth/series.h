// Series of AA batteries that nobody sells: the classes of a belt.
#pragma once

#include <string>

#include "apps/synth/label.h"

namespace pila::synth {

enum class Pattern {
  plus_cap,
  minus_cap,
  slant,
  two_rings,
  middle_band,
  lengthwise,
  chevrons,
  dots,
  slant_back,
  wave,
  checks,
  triangles
};
enum class Emblem { disc, diamond, bolt, bars };

struct Series {
  std::string name;  // as a class: "voltra_max"
  std::string brand, line;
  Colours colours;
  Pattern pattern;
  Emblem emblem;
  double text_at;  // the brand's middle, as a share of the length
};

// The designed ones. Neighbours in number share their colours, in about equal parts, so that colours alone do
// not tell them.
int designed_series_count();
const Series& designed_series(int number);

// Any number of others, drawn by chance; of these, too, some neighbours share their colours.
Series invented_series(int number);

}  // namespace pila::synth
