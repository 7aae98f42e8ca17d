#include "engine/core/random.h"

#include <cmath>

#include "engine/core/error.h"

namespace pila {

std::uint32_t Random::next() {
  const std::uint32_t word = static_cast<std::uint32_t>(index_ % 4);
  if (word == 0) {
    block_ = kernels::random_block(seed_, step_, place_, static_cast<std::uint32_t>(index_ / 4));
  }
  ++index_;
  return block_.word[word];
}

float Random::uniform() { return kernels::uniform(next()); }

double Random::normal() {
  constexpr double kScale = 1.0 / 4294967296.0;
  constexpr double kTwoPi = 6.283185307179586476925;
  const double radius = (next() + 1.0) * kScale;  // (0, 1], so that its logarithm is finite
  const double angle = next() * kScale;
  return std::sqrt(-2.0 * std::log(radius)) * std::cos(kTwoPi * angle);
}

std::uint32_t Random::below(std::uint32_t bound) {
  if (bound == 0) throw UsageError("[random] expected a bound of at least 1, got 0");
  // The upper word of draw * bound is even over [0, bound) once the draws whose lower word is among the
  // first 2^32 mod bound are thrown away (Lemire, "Fast random integer generation in an interval", 2019).
  const std::uint32_t unfair = (0u - bound) % bound;
  for (;;) {
    const std::uint64_t product = std::uint64_t{next()} * bound;
    if (static_cast<std::uint32_t>(product) >= unfair) return static_cast<std::uint32_t>(product >> 32);
  }
}

}  // namespace pila
