// What the products of a network read, as far as plans in int8 have to know it.
#pragma once

#include <map>
#include <string>

#include "kernels/args/precision.h"

namespace pila {

// From the smallest to the largest number that matters; what lies outside is cut off.
struct ValueRange {
  float low = 0, high = 0;
  bool operator==(const ValueRange&) const = default;
};

// By the name of the product's node, which is its layer's name in Keras.
using Ranges = std::map<std::string, ValueRange>;

// The integers that cover a range and zero. Throws UsageError for numbers that are not finite, and for a high
// end below the low one.
kernels::Quantization quantization_of(const ValueRange& range);

}  // namespace pila
