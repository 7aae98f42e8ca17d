// New weights, before any training.
#pragma once

#include <cstdint>

#include "engine/core/context.h"
#include "engine/core/tensor.h"

namespace pila {

// Draws the weights of one network: each random tensor from a place of its own under the seed, so that the
// same seed gives the same weights on every device, in float64 as in float32 (up to its rounding).
class Initializer {
 public:
  // type: float32 or float64, else ShapeError.
  Initializer(const Context& ctx, DType type, std::uint64_t seed);

  // Uniform in +-sqrt(6 / (fan in + fan out)); the last two axes are inputs and outputs, the others the
  // receptive field. Keras: GlorotUniform.
  Tensor glorot_uniform(const Shape& shape);
  Tensor zeros(const Shape& shape) const;
  Tensor ones(const Shape& shape) const;

 private:
  const Context& ctx_;
  DType type_;
  std::uint64_t seed_;
  std::uint32_t place_ = 0;
};

}  // namespace pila
