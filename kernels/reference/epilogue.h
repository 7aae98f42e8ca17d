// Activations, their slopes and the epilogue, in float64.
//
// relu and relu6 let NaN through. Their slope is 0 at NaN, at 0 and, for relu6, at 6.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/args/types.h"

namespace pila::kernels::reference {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

inline double activate(Activation kind, double x) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x <= 0 ? 0 : x;
    case Activation::relu6:
      return x <= 0 ? 0 : x >= 6 ? 6 : x;
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::sigmoid:
      return sigmoid(x);
  }
  return x;
}

// The derivative at x.
inline double slope_at(Activation kind, double x) {
  switch (kind) {
    case Activation::none:
      return 1;
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::relu6:
      return x > 0 && x < 6 ? 1 : 0;
    case Activation::silu:
      return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case Activation::sigmoid:
      return sigmoid(x) * (1 - sigmoid(x));
  }
  return 1;
}

// The derivative by what the forward pass keeps: its input for silu, its output for all others. relu and
// relu6 have the same slope at both.
inline double slope_from_kept(Activation kind, double value) {
  return kind == Activation::sigmoid ? value * (1 - value) : slope_at(kind, value);
}

// Gradient times slope, where a slope of 0 stops everything, infinities and NaN included.
inline double through(double slope, double gradient) { return slope == 0 ? 0 : gradient * slope; }

// The last step of a product: `index` is the element's place in the output, `channel` that along its last
// axis.
template <class T>
T finish(const Epilogue& epilogue, double sum, std::int64_t channel, std::int64_t index) {
  if (epilogue.bias != nullptr) sum += static_cast<const T*>(epilogue.bias)[channel];
  sum = activate(epilogue.activation, sum);
  if (epilogue.residual != nullptr) sum += static_cast<const T*>(epilogue.residual)[index];
  return static_cast<T>(sum);
}

}  // namespace pila::kernels::reference
