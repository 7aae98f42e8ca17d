// How often numbers of what size came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/plan/ranges.h"

namespace pila {

// Bins of one width around zero, a power of two that doubles until the largest magnitude fits: the result
// does not depend on the order in which numbers come.
class Histogram {
 public:
  static constexpr std::size_t kBins = 8192, kZero = kBins / 2;

  // Throws Error for numbers that are not finite, and counts none of the values then.
  void add(std::span<const float> values);

  // Bin i holds numbers from edge(i) to just below edge(i + 1); edge(kZero) is 0.
  double edge(std::size_t i) const;
  std::uint64_t count(std::size_t i) const { return counts_[i]; }
  std::uint64_t total() const { return total_; }
  std::uint64_t zeros() const { return zeros_; }            // exact ones, which bin kZero counts too
  const ValueRange& extremes() const { return extremes_; }  // the smallest and the largest number

 private:
  void widen(int exponent);

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(kBins);
  std::uint64_t total_ = 0, zeros_ = 0;
  ValueRange extremes_;
  int exponent_ = -100;  // bins are 2^exponent wide; what is smaller is as good as zero
};

}  // namespace pila
