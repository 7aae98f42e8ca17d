#include "apps/report/roc.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/core/error.h"

namespace pila {

RocCurve roc_curve(const std::vector<double>& known, const std::vector<double>& unknown) {
  if (known.empty() || unknown.empty()) {
    throw ShapeError("[roc] expected scores of known and of unknown, got " + std::to_string(known.size()) +
                     " and " + std::to_string(unknown.size()));
  }
  std::vector<std::pair<double, bool>> scores;  // and whether known
  for (const double score : known) scores.emplace_back(score, true);
  for (const double score : unknown) scores.emplace_back(score, false);
  if (std::any_of(scores.begin(), scores.end(), [](const auto& score) { return std::isnan(score.first); })) {
    throw ShapeError("[roc] expected scores that are numbers, got NaN");
  }
  std::sort(scores.begin(), scores.end());

  RocCurve roc{{0}, {0}};
  double known_below = 0, unknown_below = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    (scores[i].second ? known_below : unknown_below) += 1;
    if (i + 1 < scores.size() && scores[i + 1].first == scores[i].first) continue;
    const double x = known_below / static_cast<double>(known.size());
    const double y = unknown_below / static_cast<double>(unknown.size());
    roc.area += (x - roc.known_rejected.back()) * (y + roc.unknown_rejected.back()) / 2;
    roc.known_rejected.push_back(x);
    roc.unknown_rejected.push_back(y);
  }
  return roc;
}

double rejected_when_keeping(const RocCurve& roc, double keep) {
  constexpr double kRounding = 1e-9;  // 1 - 0.95 is more than 5 of 100
  double best = 0;
  for (std::size_t i = 0; i < roc.known_rejected.size(); ++i) {
    if (roc.known_rejected[i] <= 1 - keep + kRounding) best = std::max(best, roc.unknown_rejected[i]);
  }
  return best;
}

}  // namespace pila
