// How a model file carries what its confidence rests on.
#pragma once

#include "apps/report/confidence.h"
#include "weights/networks.h"

namespace pila {

// Sets temperature, threshold, unknown score and the arrays "class_means" and "feature_variances".
void describe_confidence(const Confidence& confidence, ModelDescription& description);

// The inverse; a file that says nothing gives temperature 1 and thresholds that reject nothing. Throws
// FileError, without a file's name, for an unknown kind of score or arrays that do not fit.
Confidence confidence_of(const ModelDescription& description);

}  // namespace pila
