// From what the products of a network read to the ranges that their integers cover.
#pragma once

#include <array>

#include "engine/plan/histogram.h"

namespace pila {

// Which numbers a range cuts off, for smaller steps between the others.
enum class Clipping {
  min_max,           // none
  percentile_99_99,  // at each end 0.01% of all
  percentile_99_9,   // at each end 0.1% of all
  entropy  // as many as bring what 256 levels tell closest to the numbers, by Kullback-Leibler divergence
           // (Migacz, 8-bit inference with TensorRT, 2017); one limit for both signs
};
inline constexpr std::array kClippings = {Clipping::min_max, Clipping::percentile_99_99,
                                          Clipping::percentile_99_9, Clipping::entropy};
const char* name_of(Clipping clipping);  // "min-max"

// Lies within the extremes. Throws UsageError for a histogram of nothing.
ValueRange clipped_range(const Histogram& histogram, Clipping clipping);

}  // namespace pila
