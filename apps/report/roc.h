// How well a score tells two kinds apart.
#pragma once

#include <vector>

namespace pila {

// Rejecting what scores below a rising limit: shares of known and unknown that are rejected, from (0, 0) to
// (1, 1), a point for each different score.
struct RocCurve {
  std::vector<double> known_rejected, unknown_rejected;
  double area = 0;  // chance that a known one scores higher than an unknown one; ties count half
};

// Scores are larger for what is known. Throws ShapeError when there are none of either, or one is NaN.
RocCurve roc_curve(const std::vector<double>& known, const std::vector<double>& unknown);

// The largest share of unknowns that can be rejected while at least the share `keep` of the known stays.
double rejected_when_keeping(const RocCurve& roc, double keep);

}  // namespace pila
