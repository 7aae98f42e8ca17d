// The size of a whole gradient, and how much of it a step may take.
#pragma once

#include <span>

#include "engine/core/context.h"

namespace pila {

// Writes the Euclidean norm of all gradients together into `norm`, and into `scale` the factor that brings it
// down to `limit`: 1 below it, NaN for a norm that is no finite number. Both are [] of the gradients' type
// (float32 or float64, one for all), else ShapeError. A limit of infinity clips nothing. In place, so that a
// traced step refreshes them. Keras: global_clipnorm. Where the gradients are those of a loss that was
// multiplied by `loss_scale`, [] of their type, the norm is what it would be without, and `scale` divides by
// it, too.
void global_norm(const Context& ctx, std::span<const Tensor> gradients, double limit, const Tensor& norm,
                 const Tensor& scale, const Tensor& loss_scale = {});

}  // namespace pila
