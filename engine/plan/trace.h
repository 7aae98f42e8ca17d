// From a forward pass to a graph.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/plan/graph.h"

namespace pila {

// The computation whose graph is wanted: outputs from inputs, by the operations of ops/ops.h.
using Computation = std::function<std::vector<Tensor>(const Context& ctx, std::span<const Tensor> inputs)>;

// Names for nodes: by the id of a weight, the name of the layer that holds it.
using WeightNames = std::map<std::uint64_t, std::string>;

// Writes down what `computation` does to inputs of these specs, without running it. Every tensor that it
// brings along becomes a constant. A node is named after the first of its weights that has a name, else after
// the node that made its first input. Throws what the computation throws, UsageError where it reads a value.
Graph trace(const Context& ctx, std::span<const TensorSpec> inputs, const Computation& computation,
            const WeightNames& names = {});

}  // namespace pila
