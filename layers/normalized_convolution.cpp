#include "layers/normalized_convolution.h"

namespace pila {

bool folds(const Context& ctx, const Convolution& conv, const BatchNormalization& norm) {
  return !ctx.tracing() && norm.has_given_statistics(ctx) && !conv.has_bias();
}

Tensor convolve_normalized(const Context& ctx, const Convolution& conv, const BatchNormalization& norm,
                           const Tensor& x, Activation activation, const Tensor& residual) {
  if (folds(ctx, conv, norm)) {
    const ops::FoldedWeights weights = norm.folded(ctx, conv.kernel());
    return conv.convolve(ctx, x, weights.kernel, weights.bias, activation, residual);
  }
  const Tensor y = norm.forward(ctx, conv.forward(ctx, x), activation);
  return residual ? ops::add(ctx, y, residual) : y;
}

}  // namespace pila
