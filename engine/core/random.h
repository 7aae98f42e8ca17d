// Random numbers on the host: a stream of 2^34 draws by (seed, step, place), from the generator that the
// kernels use.
#pragma once

#include <cstdint>

#include "kernels/random.h"

namespace pila {

class Random {
 public:
  explicit Random(std::uint64_t seed, std::int64_t step = 0, std::uint32_t place = 0)
      : seed_(seed), step_(step), place_(place) {}

  std::uint32_t next();                      // 32 random bits
  float uniform();                           // [0, 1)
  double normal();                           // mean 0, deviation 1 (Box-Muller)
  std::uint32_t below(std::uint32_t bound);  // [0, bound), without bias; throws UsageError for 0

 private:
  std::uint64_t seed_;
  std::int64_t step_;
  std::uint32_t place_;
  std::uint64_t index_ = 0;
  kernels::Philox4 block_{};
};

}  // namespace pila
