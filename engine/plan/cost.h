// What a node has to do at least: the floor under its time.
#pragma once

#include <cstddef>

#include "engine/plan/graph.h"

namespace pila {

struct Cost {
  double multiply_adds = 0;          // of convolutions and products; taps in the padding count
  std::size_t activation_bytes = 0;  // read and written once
  std::size_t weight_bytes = 0;      // of constants
};

Cost cost_of(const Graph& graph, const Node& node);

}  // namespace pila
