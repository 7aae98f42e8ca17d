// A photograph of a thing on a conveyor belt, taken from above.
#pragma once

#include "apps/media/image.h"
#include "apps/synth/thing.h"
#include "engine/core/random.h"

namespace pila::synth {

// Place, angle, distance, light, belt, blur and noise are drawn from `random`. The same stream gives the same
// bytes. `size` is the picture's side in pixels.
media::Image photograph(const Thing& thing, Random random, int size);

}  // namespace pila::synth
