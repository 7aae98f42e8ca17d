// What a plan does to a traced graph before it runs.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/plan/graph.h"
#include "engine/plan/ranges.h"

namespace pila {

// A rewriting of a graph that leaves its results as they are, to rounding.
class Pass {
 public:
  virtual ~Pass() = default;
  virtual std::string_view name() const = 0;
  // Returns how many places it changed. `ctx` is where constants live and are computed.
  virtual std::size_t run(const Context& ctx, Graph& graph) const = 0;
};

// The passes for inference, in the order in which they run: each finds what those before it leave.
std::vector<std::shared_ptr<const Pass>> inference_passes(Precision precision = Precision::f32,
                                                          const Ranges& ranges = {});

}  // namespace pila
