// Predictions to measure, made by hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/report/predictions.h"

namespace pila::test {

// Pictures "picture 0", ... of classes "class 0", ...; the logit of the class `best` is `margin`, all others
// are 0.
inline Predictions predicted_as(const std::vector<std::int32_t>& labels,
                                const std::vector<std::int32_t>& best, int classes, float margin = 1) {
  Predictions predictions;
  for (int k = 0; k < classes; ++k) predictions.classes.push_back("class " + std::to_string(k));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    predictions.files.push_back("picture " + std::to_string(i));
    for (int k = 0; k < classes; ++k) predictions.logits.push_back(k == best[i] ? margin : 0);
  }
  predictions.labels = labels;
  return predictions;
}

}  // namespace pila::test
