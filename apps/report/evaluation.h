// How good predictions are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/report/confidence.h"
#include "apps/report/predictions.h"
#include "apps/report/roc.h"

namespace pila {

// As scikit-learn's classification_report with zero_division 0.
struct ClassMetrics {
  double precision = 0, recall = 0, f1 = 0;
  std::int64_t images = 0;
};

// Pictures whose probability lies in the n-th of equal parts of 0..1.
struct CalibrationBin {
  std::int64_t images = 0;
  double confidence = 0, accuracy = 0;  // means; 0 without pictures
};
constexpr int kCalibrationBins = 15;

struct UnknownEvaluation {
  std::int64_t images = 0;
  FamiliarityScore score = FamiliarityScore::energy;
  RocCurve roc;               // of that score
  double rejected_at_95 = 0;  // share of unknowns below the score that 95% of the known reach
  double rejected = 0;        // share of unknowns that the model's own thresholds reject
  struct Alternative {
    FamiliarityScore score;
    double area = 0, rejected_at_95 = 0;
  };
  std::vector<Alternative> alternatives;  // all scores that can be had, the model's own too
};

struct Evaluation {
  std::vector<std::string> class_names;
  std::int64_t images = 0;
  double accuracy = 0;
  double accuracy_low = 0, accuracy_high = 0;  // Wilson's 95% interval
  double loss = 0;                             // mean cross-entropy at the temperature
  std::vector<ClassMetrics> classes;
  ClassMetrics macro, weighted;         // over the classes that occur as label or as prediction
  std::vector<std::int64_t> confusion;  // [true, predicted]
  double calibration_error = 0;         // expected, over kCalibrationBins
  std::vector<CalibrationBin> calibration;
  Confidence confidence;
  double kept = 0;           // share that the thresholds leave
  double kept_accuracy = 0;  // among those; 0 for none
  std::optional<UnknownEvaluation> unknown;
  std::string remark;  // how these pictures relate to the model, for people; may be empty
};

// Of labelled pictures. Throws as Predictions::check() does, and ShapeError for no pictures or an unknown
// one.
Evaluation evaluate(const Predictions& predictions, const Confidence& confidence = {});

// `known` are of the classes, `unknown` of none. Throws ShapeError when there are none of either.
UnknownEvaluation evaluate_unknown(const Predictions& known, const Predictions& unknown,
                                   const Confidence& confidence);

}  // namespace pila
