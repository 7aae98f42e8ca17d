// All that a model has learned.
#pragma once

#include <vector>

#include "layers/model.h"

namespace pila::test {

inline std::vector<float> all_values(const Context& ctx, const Model& model) {
  std::vector<float> values;
  for (const Layer* layer : model.layers()) {
    for (const Parameter& parameter : layer->parameters()) {
      const auto more = parameter.value.to_vector<float>(ctx);
      values.insert(values.end(), more.begin(), more.end());
    }
  }
  return values;
}

}  // namespace pila::test
