// A convolution and the batch normalisation behind it.
#pragma once

#include "layers/convolution.h"
#include "layers/normalization.h"

namespace pila {

// Whether normalisation by given statistics becomes part of the convolution. Traced, layers are recorded as
// they are: a plan's passes fold them.
bool folds(const Context& ctx, const Convolution& conv, const BatchNormalization& norm);

// activation(norm(conv(x))) + residual, which may be undefined. Where it folds, that is one pass, and what
// the way back needs of it is its output.
Tensor convolve_normalized(const Context& ctx, const Convolution& conv, const BatchNormalization& norm,
                           const Tensor& x, Activation activation = Activation::none,
                           const Tensor& residual = {});

}  // namespace pila
