// Large random matrices whose products the reference computes in a short time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/random_data.h"

namespace pila::test {

// Rows come again after so many, which is no multiple of any tile: the reference multiplies them once.
constexpr std::int64_t kDistinctRows = 331;

inline std::vector<float> repeat(const std::vector<float>& rows, std::int64_t size) {
  std::vector<float> result(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = rows[i % rows.size()];
  return result;
}

inline std::vector<float> random_matrix(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  return uniform_data<float>(static_cast<std::size_t>(rows * columns), seed);
}

}  // namespace pila::test
