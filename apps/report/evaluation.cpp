#include "apps/report/evaluation.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "engine/core/error.h"

namespace pila {
namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::pair<double, double> wilson_interval(double share, double count) {
  constexpr double z = 1.959963984540054;  // 95%
  const double centre = share + z * z / (2 * count);
  const double half = z * std::sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  const double whole = 1 + z * z / count;
  return {std::max(0.0, (centre - half) / whole), std::min(1.0, (centre + half) / whole)};
}

void add_class_metrics(Evaluation& evaluation) {
  const std::size_t classes = evaluation.class_names.size();
  double occurring = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    double labelled = 0, predicted = 0;
    for (std::size_t other = 0; other < classes; ++other) {
      labelled += static_cast<double>(evaluation.confusion[k * classes + other]);
      predicted += static_cast<double>(evaluation.confusion[other * classes + k]);
    }
    const auto right = static_cast<double>(evaluation.confusion[k * classes + k]);
    ClassMetrics metrics;
    metrics.precision = ratio(right, predicted);
    metrics.recall = ratio(right, labelled);
    metrics.f1 = ratio(2 * right, predicted + labelled);
    metrics.images = static_cast<std::int64_t>(labelled);
    evaluation.classes.push_back(metrics);
    if (labelled + predicted > 0) ++occurring;
  }
  const auto add = [](ClassMetrics& sum, const ClassMetrics& metrics, double weight) {
    sum.precision += metrics.precision * weight;
    sum.recall += metrics.recall * weight;
    sum.f1 += metrics.f1 * weight;
    sum.images += metrics.images;
  };
  for (const ClassMetrics& metrics : evaluation.classes) {
    add(evaluation.macro, metrics, 1 / occurring);
    add(evaluation.weighted, metrics,
        static_cast<double>(metrics.images) / static_cast<double>(evaluation.images));
  }
}

// Guo et al., 2017: the n-th bin holds what lies in (n / bins, (n + 1) / bins].
void add_calibration(Evaluation& evaluation, const std::vector<double>& confidences,
                     const std::vector<bool>& right) {
  evaluation.calibration.resize(kCalibrationBins);
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    const int place = static_cast<int>(std::ceil(confidences[i] * kCalibrationBins)) - 1;
    auto& bin = evaluation.calibration[static_cast<std::size_t>(std::clamp(place, 0, kCalibrationBins - 1))];
    ++bin.images;
    bin.confidence += confidences[i];
    bin.accuracy += right[i] ? 1 : 0;
  }
  for (CalibrationBin& bin : evaluation.calibration) {
    const auto images = static_cast<double>(bin.images);
    evaluation.calibration_error +=
        std::abs(bin.confidence - bin.accuracy) / static_cast<double>(evaluation.images);
    bin.confidence = ratio(bin.confidence, images);
    bin.accuracy = ratio(bin.accuracy, images);
  }
}

}  // namespace

Evaluation evaluate(const Predictions& predictions, const Confidence& confidence) {
  predictions.check();
  if (predictions.images() == 0) throw ShapeError("[evaluate] expected pictures, got none");
  const std::size_t classes = predictions.classes.size();
  Evaluation evaluation;
  evaluation.class_names = predictions.classes;
  evaluation.images = predictions.images();
  evaluation.confidence = confidence;
  evaluation.confusion.resize(classes * classes);

  const std::vector<bool> kept = accepted(predictions, confidence);
  std::vector<double> confidences;
  std::vector<bool> rights;
  double right_count = 0, kept_count = 0, kept_right = 0;
  for (std::int64_t i = 0; i < predictions.images(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::int32_t label = predictions.labels[at];
    if (label == kUnknownLabel) {
      throw ShapeError("[evaluate] expected pictures of the classes, got an unknown one: " +
                       predictions.files[at]);
    }
    const auto logits = predictions.logits_of(i);
    const std::int32_t best = best_class(logits);
    ++evaluation.confusion[static_cast<std::size_t>(label) * classes + static_cast<std::size_t>(best)];
    evaluation.loss += cross_entropy(logits, label, confidence.temperature);
    confidences.push_back(probabilities(logits, confidence.temperature)[static_cast<std::size_t>(best)]);
    rights.push_back(best == label);
    right_count += best == label ? 1 : 0;
    kept_count += kept[at] ? 1 : 0;
    kept_right += kept[at] && best == label ? 1 : 0;
  }
  const auto count = static_cast<double>(evaluation.images);
  evaluation.accuracy = right_count / count;
  std::tie(evaluation.accuracy_low, evaluation.accuracy_high) = wilson_interval(evaluation.accuracy, count);
  evaluation.loss /= count;
  evaluation.kept = kept_count / count;
  evaluation.kept_accuracy = ratio(kept_right, kept_count);
  add_class_metrics(evaluation);
  add_calibration(evaluation, confidences, rights);
  return evaluation;
}

UnknownEvaluation evaluate_unknown(const Predictions& known, const Predictions& unknown,
                                   const Confidence& confidence) {
  known.check();
  unknown.check();
  constexpr double kKeep = 0.95;
  UnknownEvaluation evaluation;
  evaluation.images = unknown.images();
  evaluation.score = confidence.score;
  for (const FamiliarityScore score : kFamiliarityScores) {
    if (needs_features(score) && confidence.features.empty()) continue;
    RocCurve roc = roc_curve(familiarity(known, score, confidence.features),
                             familiarity(unknown, score, confidence.features));
    const double rejected = rejected_when_keeping(roc, kKeep);
    evaluation.alternatives.push_back({score, roc.area, rejected});
    if (score == confidence.score) {
      evaluation.rejected_at_95 = rejected;
      evaluation.roc = std::move(roc);
    }
  }
  const std::vector<bool> taken = accepted(unknown, confidence);
  evaluation.rejected = ratio(static_cast<double>(std::count(taken.begin(), taken.end(), false)),
                              static_cast<double>(taken.size()));
  return evaluation;
}

}  // namespace pila
