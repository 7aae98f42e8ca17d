// Tasks as this project's kernels do them: chosen by the device's table, with prepared weights as in plans.
#pragma once

#include <memory>
#include <vector>

#include "bench/layers/call.h"
#include "bench/layers/operands.h"
#include "engine/core/context.h"

namespace pila::bench {

// Null where the device has no kernel for it. Throws Error when a kernel fails.
std::unique_ptr<Call> own_layer(const Context& ctx, const Problem& problem, const Operands& operands);

// All layers of a block in one kernel, forward.
std::unique_ptr<Call> own_block(const Context& ctx, const std::vector<Problem>& parts,
                                const std::vector<Operands>& operands);

}  // namespace pila::bench
