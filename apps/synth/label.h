// What is printed on things: bands, stripes, text, and the wear of one specimen.
#pragma once

#include "apps/media/canvas.h"
#include "engine/core/random.h"

namespace pila::synth {

// The colours of a make. Makes are shared by all kinds of things, so that colours alone tell nothing.
struct Colours {
  media::Color body, accent, text;
};
Colours draw_colours(Random& random);

// How the label of a battery is laid out, from its minus end (left) to its plus end.
enum class Layout {
  cap,     // the plus end in the other colour
  rings,   // two rings in the other colour
  stripes  // slanted stripes in the other colour
};

// Labels are unrolled: x along the thing, y around it or across; they may be repeated along y.
media::Image battery_label(Random& random, Layout layout, const Colours& colours, int width, int height);
media::Image pouch_label(Random& random, const Colours& colours, int width, int height);
media::Image coin_face(Random& random, bool plus, int size);
media::Image circuit(Random& random, int width, int height);

// Text around its place, not beside it.
media::TextStyle centred(double size, const media::Color& color, bool bold);

// Scratches, dirt and, by `rust`, brown ends; 0 (new) to 1.
void wear_out(media::Image& image, Random& random, double wear, bool rust);

}  // namespace pila::synth
