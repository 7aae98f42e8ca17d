// Training in mixed precision: what passes between layers is stored in 16 bits, weights in float32. They are
// rounded on their way into a convolution; batch normalisation and the head compute with float32.
#pragma once

#include "engine/core/context.h"
#include "engine/core/tensor.h"

namespace pila {

// The weight in the type of x where x has 16 bits, else the weight itself.
Tensor rounded_for(const Context& ctx, const Tensor& weight, const Tensor& x);
// x in float32 where it has 16 bits, else x itself.
Tensor widened(const Context& ctx, const Tensor& x);

// The type in which a network in this precision stores its images and what it makes of them: float32, of
// which tf32 rounds factors alone, float16 or bfloat16.
DType storage_type(Precision precision);

// Throws UsageError for a precision that the device does not train in: on a GPU all but int8, elsewhere
// float32 alone.
void check_training_precision(const Device& device, Precision precision);

}  // namespace pila
