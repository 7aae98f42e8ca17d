#include "engine/plan/histogram.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/core/error.h"

namespace pila {

void Histogram::add(std::span<const float> values) {
  if (values.empty()) return;
  ValueRange range{values[0], values[0]};
  for (const float value : values) {
    if (!std::isfinite(value)) {
      throw Error("[calibration] expected finite numbers, got " + std::to_string(value));
    }
    range = {std::min(range.low, value), std::max(range.high, value)};
  }
  extremes_ = total_ == 0
                  ? range
                  : ValueRange{std::min(extremes_.low, range.low), std::max(extremes_.high, range.high)};
  total_ += values.size();
  if (const float largest = std::max(-range.low, range.high); largest > 0) {
    widen(std::ilogb(largest) + 1 - std::ilogb(kZero));
  }
  const double bins = std::ldexp(1.0, -exponent_);  // for each unit
  for (const float value : values) {
    zeros_ += value == 0 ? 1 : 0;
    ++counts_[kZero + static_cast<std::size_t>(static_cast<std::ptrdiff_t>(std::floor(value * bins)))];
  }
}

double Histogram::edge(std::size_t i) const {
  return std::ldexp(static_cast<double>(i) - static_cast<double>(kZero), exponent_);
}

void Histogram::widen(int exponent) {
  if (exponent <= exponent_) return;
  const int shift = std::min(exponent - exponent_, 31);
  exponent_ = exponent;
  std::vector<std::uint64_t> wide(kBins);
  for (std::size_t i = 0; i < kBins; ++i) {
    const int from_zero = static_cast<int>(i) - static_cast<int>(kZero);
    wide[static_cast<std::size_t>(static_cast<int>(kZero) + (from_zero >> shift))] += counts_[i];
  }
  counts_ = std::move(wide);
}

}  // namespace pila
