// Test data from Philox: the same everywhere for the same seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/random.h"

namespace pila::test {

// The i-th number in [0, 1) of a seed, with 53 random bits.
inline double random_unit(std::uint64_t seed, std::size_t i) {
  const auto block = kernels::random_block(seed, 0, 0, static_cast<std::uint32_t>(i / 2));
  const std::uint64_t high = block.word[2 * (i % 2)], low = block.word[2 * (i % 2) + 1];
  return static_cast<double>((high << 21) | (low >> 11)) * 0x1p-53;
}

// Uniform in [low, high). float32 and float64 data of one seed agree to rounding.
template <class Values>
void fill_uniform(Values& values, std::uint64_t seed, double low = -1, double high = 1) {
  std::size_t i = 0;
  for (auto& value : values) {
    value =
        static_cast<std::remove_reference_t<decltype(value)>>(low + (high - low) * random_unit(seed, i++));
  }
}

template <class T>
std::vector<T> uniform_data(std::size_t count, std::uint64_t seed, double low = -1, double high = 1) {
  std::vector<T> values(count);
  fill_uniform(values, seed, low, high);
  return values;
}

// Whole numbers in [low, high].
template <class T>
std::vector<T> integer_data(std::size_t count, std::uint64_t seed, std::int64_t low, std::int64_t high) {
  std::vector<T> values(count);
  std::size_t i = 0;
  for (auto& value : values) {
    const double draw = random_unit(seed, i++) * static_cast<double>(high - low + 1);
    value = static_cast<T>(low + static_cast<std::int64_t>(draw));
  }
  return values;
}

}  // namespace pila::test
