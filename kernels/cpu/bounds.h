// Activations as bounds of a clamp, where they are no more than that.
#pragma once

#include <limits>

#include "kernels/args/types.h"

namespace pila::kernels::cpu {

struct Bounds {
  explicit Bounds(Activation activation) {
    if (activation == Activation::relu || activation == Activation::relu6) low = 0;
    if (activation == Activation::relu6) high = 6;
    smooth = activation == Activation::silu || activation == Activation::sigmoid;
  }
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  bool smooth;  // takes an exponential as well
};

}  // namespace pila::kernels::cpu
