// The way back through batch normalisation, for operations that do it as they read.
#pragma once

#include "engine/ops/op.h"
#include "engine/ops/ops.h"

namespace pila::ops {

// Of x, gamma and beta, which are the first three of `args`' inputs; undefined where not wanted. dy: the
// gradient of activation(normalised x * gamma + beta). With batch_statistics, mean and variance are x's own,
// else they are constants.
std::vector<Tensor> batch_norm_gradients(const Context& ctx, const BackwardArgs& args, const Tensor& mean,
                                         const Tensor& variance, const Tensor& dy,
                                         const BatchNormAttributes& attributes, bool batch_statistics);

}  // namespace pila::ops
