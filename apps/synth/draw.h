// Draws from a random stream, as the makers of pictures want them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/core/random.h"

namespace pila::synth {

inline double between(Random& random, double low, double high) {
  return low + (high - low) * static_cast<double>(random.uniform());
}
inline bool chance(Random& random, double probability) { return between(random, 0, 1) < probability; }
// A whole number in [low, high].
inline int whole(Random& random, int low, int high) {
  return low + static_cast<int>(random.below(static_cast<std::uint32_t>(high - low + 1)));
}
template <class T, std::size_t count>
const T& pick(Random& random, const T (&choices)[count]) {
  return choices[random.below(count)];
}

}  // namespace pila::synth
