#include "apps/report/confidence_card.h"

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr char kMeans[] = "class_means", kVariances[] = "feature_variances";

FeatureStatistics read_statistics(const ModelDescription& description) {
  const auto means = description.arrays.find(kMeans), variances = description.arrays.find(kVariances);
  const auto end = description.arrays.end();
  if (means == end && variances == end) return {};
  if (means == end || variances == end || means->second.shape.size() != 2 || means->second.shape[1] < 1 ||
      means->second.shape[0] != static_cast<std::int64_t>(description.classes.size()) ||
      variances->second.shape != std::vector{means->second.shape[1]}) {
    throw FileError("expected arrays " + std::string(kMeans) + " [" +
                    std::to_string(description.classes.size()) + ", channels] and " + kVariances +
                    " [channels], got others");
  }
  return {means->second.shape[1], means->second.values, variances->second.values};
}

}  // namespace

void describe_confidence(const Confidence& confidence, ModelDescription& description) {
  description.temperature = confidence.temperature;
  description.threshold = confidence.threshold;
  description.unknown = {};
  description.unknown.kind = name_of(confidence.score);
  description.unknown.threshold = -confidence.least_familiarity;  // there, what is unknown scores high
  const FeatureStatistics& features = confidence.features;
  if (features.empty()) return;
  const auto channels = features.channels;
  const auto classes = static_cast<std::int64_t>(features.class_means.size()) / channels;
  description.arrays[kMeans] = {{classes, channels}, features.class_means};
  description.arrays[kVariances] = {{channels}, features.variances};
}

Confidence confidence_of(const ModelDescription& description) {
  Confidence confidence;
  confidence.temperature = description.temperature;
  confidence.threshold = description.threshold;
  confidence.features = read_statistics(description);
  if (description.unknown.kind.empty()) return confidence;
  try {
    confidence.score = familiarity_score_of(description.unknown.kind);
  } catch (const UsageError& error) {
    throw FileError(error.what());
  }
  confidence.least_familiarity = -description.unknown.threshold;
  if (needs_features(confidence.score) && confidence.features.empty()) {
    throw FileError("expected array " + std::string(kMeans) + " for the score " + description.unknown.kind +
                    ", got none");
  }
  return confidence;
}

}  // namespace pila
