// Gradients of a batch that several ranks share.
#pragma once

#include <span>

#include "engine/autograd/tape.h"
#include "engine/parallel/communicator.h"

namespace pila {

// Sums each parameter's gradient (float32) over the ranks of ctx. A parameter that has none on one rank
// counts as zero there, and has none afterwards where it has none on any. The same parameters, in the same
// order, on all ranks.
void sum_over_ranks(const Context& ctx, std::span<const Tensor> parameters, Gradients& gradients);

}  // namespace pila
