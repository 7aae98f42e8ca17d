// Batch normalisation of a batch that several ranks share.
#pragma once

#include "engine/ops/ops.h"

namespace pila::ops {

// batch_norm_training() by the mean and variance of all ranks' rows, in the order of ranks (float32 only): y
// and its gradient are this rank's part of what the whole batch gives. gamma's and beta's gradients are of
// this rank's rows alone, as those of all other parameters. Every rank calls it, with one row at least.
BatchNormResult shared_batch_norm(const Context& ctx, const Tensor& x, const Tensor& gamma,
                                  const Tensor& beta, double epsilon, Activation activation);

}  // namespace pila::ops
