// Which pictures were taken for something else.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/report/predictions.h"

namespace pila {

struct Mistake {
  std::int64_t image = 0;  // in the predictions
  std::int32_t label = 0, predicted = 0;
  double probability = 0, label_probability = 0;  // of the predicted and of the true class
};

// The most confident first; of equals the earlier picture. Unknown pictures are no mistakes.
std::vector<Mistake> find_mistakes(const Predictions& predictions, double temperature);

}  // namespace pila
