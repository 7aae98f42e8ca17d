#include "apps/report/mistakes.h"

#include <algorithm>

namespace pila {

std::vector<Mistake> find_mistakes(const Predictions& predictions, double temperature) {
  std::vector<Mistake> mistakes;
  for (std::int64_t i = 0; i < predictions.images(); ++i) {
    const auto logits = predictions.logits_of(i);
    const std::int32_t label = predictions.labels[static_cast<std::size_t>(i)], best = best_class(logits);
    if (label == kUnknownLabel || label == best) continue;
    const auto shares = probabilities(logits, temperature);
    mistakes.push_back(
        {i, label, best, shares[static_cast<std::size_t>(best)], shares[static_cast<std::size_t>(label)]});
  }
  std::stable_sort(mistakes.begin(), mistakes.end(),
                   [](const Mistake& a, const Mistake& b) { return a.probability > b.probability; });
  return mistakes;
}

}  // namespace pila
