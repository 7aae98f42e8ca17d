// Metrics by hand and as scikit-learn has them.
#include "apps/report/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "tests/apps/report/predictions_maker.h"

namespace pila {
namespace {

using test::predicted_as;

// sklearn.metrics.classification_report([0,0,0,0,1,1,1,2,2,2], [0,0,1,0,1,1,2,2,0,0], zero_division=0) and
// confusion_matrix, scikit-learn 1.9.
TEST(Evaluate, AgreesWithScikitLearn) {
  const auto predictions = predicted_as({0, 0, 0, 0, 1, 1, 1, 2, 2, 2}, {0, 0, 1, 0, 1, 1, 2, 2, 0, 0}, 3);
  const Evaluation evaluation = evaluate(predictions);
  EXPECT_EQ(evaluation.images, 10);
  EXPECT_DOUBLE_EQ(evaluation.accuracy, 0.6);
  EXPECT_EQ(evaluation.confusion, (std::vector<std::int64_t>{3, 1, 0, 0, 2, 1, 2, 0, 1}));
  const double precision[] = {3 / 5.0, 2 / 3.0, 1 / 2.0}, recall[] = {3 / 4.0, 2 / 3.0, 1 / 3.0};
  const double f1[] = {2 / 3.0, 2 / 3.0, 0.4};
  const std::int64_t images[] = {4, 3, 3};
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_DOUBLE_EQ(evaluation.classes[k].precision, precision[k]);
    EXPECT_DOUBLE_EQ(evaluation.classes[k].recall, recall[k]);
    EXPECT_DOUBLE_EQ(evaluation.classes[k].f1, f1[k]);
    EXPECT_EQ(evaluation.classes[k].images, images[k]);
  }
  EXPECT_NEAR(evaluation.macro.precision, 0.5888888888888889, 1e-12);
  EXPECT_NEAR(evaluation.macro.recall, 0.5833333333333334, 1e-12);
  EXPECT_NEAR(evaluation.macro.f1, 0.5777777777777778, 1e-12);
  EXPECT_NEAR(evaluation.weighted.precision, 0.59, 1e-12);
  EXPECT_NEAR(evaluation.weighted.recall, 0.6, 1e-12);
  EXPECT_NEAR(evaluation.weighted.f1, 0.5866666666666667, 1e-12);
  EXPECT_EQ(evaluation.macro.images, 10);
  EXPECT_EQ(evaluation.weighted.images, 10);
}

// A class that neither occurs nor is predicted does not count; one that is predicted, does.
// classification_report([0,0,1], [0,2,1], zero_division=0): macro precision 2/3, recall 1/2, f1 5/9.
TEST(Evaluate, LeavesClassesOutThatDoNotOccur) {
  const Evaluation evaluation = evaluate(predicted_as({0, 0, 1}, {0, 2, 1}, 4));
  EXPECT_NEAR(evaluation.macro.precision, 2.0 / 3, 1e-12);
  EXPECT_NEAR(evaluation.macro.recall, 0.5, 1e-12);
  EXPECT_NEAR(evaluation.macro.f1, 5.0 / 9, 1e-12);
  EXPECT_NEAR(evaluation.weighted.f1, (2 * (2.0 / 3) + 1) / 3, 1e-12);
  EXPECT_EQ(evaluation.classes[2].images, 0);
  EXPECT_EQ(evaluation.classes[2].precision, 0);
  EXPECT_EQ(evaluation.classes[3].f1, 0);
}

TEST(Evaluate, TakesOnePicture) {
  const Evaluation right = evaluate(predicted_as({1}, {1}, 2));
  EXPECT_EQ(right.accuracy, 1);
  EXPECT_EQ(right.accuracy_high, 1);
  EXPECT_NEAR(right.accuracy_low, 0.20654931, 1e-7);  // n / (n + z^2)
  EXPECT_EQ(right.macro.f1, 1);
  const Evaluation wrong = evaluate(predicted_as({1}, {0}, 2));
  EXPECT_EQ(wrong.accuracy, 0);
  EXPECT_EQ(wrong.accuracy_low, 0);
  EXPECT_NEAR(wrong.accuracy_high, 0.79345069, 1e-7);
  EXPECT_EQ(wrong.macro.f1, 0);
}

TEST(Evaluate, TakesAllWrong) {
  const Evaluation evaluation = evaluate(predicted_as({0, 1, 2, 0}, {1, 2, 0, 2}, 3));
  EXPECT_EQ(evaluation.accuracy, 0);
  EXPECT_EQ(evaluation.macro.precision, 0);
  EXPECT_EQ(evaluation.kept, 1) << "without thresholds nothing is rejected";
  EXPECT_EQ(evaluation.kept_accuracy, 0);
}

// statsmodels' proportion_confint(89, 100, method="wilson") = (0.8137, 0.9375).
TEST(Evaluate, GivesWilsonsInterval) {
  std::vector<std::int32_t> labels(100, 0), best(100, 0);
  for (std::size_t i = 0; i < 11; ++i) best[i] = 1;
  const Evaluation evaluation = evaluate(predicted_as(labels, best, 2));
  const double z2 = 1.959963984540054 * 1.959963984540054, p = 0.89, n = 100;
  const double half = std::sqrt(z2) / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  EXPECT_NEAR(evaluation.accuracy_low, (p + z2 / (2 * n)) / (1 + z2 / n) - half, 1e-12);
  EXPECT_NEAR(evaluation.accuracy_high, (p + z2 / (2 * n)) / (1 + z2 / n) + half, 1e-12);
  EXPECT_NEAR(evaluation.accuracy_low, 0.8137, 5e-5);
  EXPECT_NEAR(evaluation.accuracy_high, 0.9375, 5e-5);
}

// Two classes; a logit difference of log(p / (1 - p)) is a probability of p.
TEST(Evaluate, MeasuresLossAndCalibration) {
  Predictions predictions;
  predictions.classes = {"a", "b"};
  const auto add = [&](std::int32_t label, double p_of_a) {
    predictions.files.push_back("picture " + std::to_string(predictions.files.size()));
    predictions.labels.push_back(label);
    predictions.logits.push_back(static_cast<float>(std::log(p_of_a / (1 - p_of_a))));
    predictions.logits.push_back(0);
  };
  add(0, 0.9);   // bin 13 (0.867 to 0.933), right
  add(1, 0.88);  // bin 13, wrong
  add(1, 0.4);   // of b: 0.6, bin 8, right
  const Evaluation evaluation = evaluate(predictions);
  const double loss = -(std::log(0.9) + std::log(0.12) + std::log(0.6)) / 3;
  EXPECT_NEAR(evaluation.loss, loss, 1e-6);  // logits are float
  EXPECT_NEAR(evaluation.calibration_error, (std::abs(0.9 + 0.88 - 1) + std::abs(0.6 - 1)) / 3, 1e-6);
  EXPECT_EQ(evaluation.calibration[13].images, 2);
  EXPECT_NEAR(evaluation.calibration[13].confidence, 0.89, 1e-6);
  EXPECT_NEAR(evaluation.calibration[13].accuracy, 0.5, 1e-12);
  EXPECT_EQ(evaluation.calibration[8].images, 1);

  Confidence hot;
  hot.temperature = 2;
  const double b = std::log(0.6 / 0.4) / 2;
  EXPECT_NEAR(cross_entropy(predictions.logits_of(2), 1, 2), std::log1p(std::exp(-b)), 1e-6);
  EXPECT_NE(evaluate(predictions, hot).loss, evaluation.loss);
  EXPECT_EQ(evaluate(predictions, hot).accuracy, evaluation.accuracy);
}

TEST(Evaluate, TakesExtremeLogits) {
  Predictions predictions = predicted_as({0, 1}, {0, 0}, 2);
  predictions.logits = {3e38f, -3e38f, 3e38f, -3e38f};
  const Evaluation evaluation = evaluate(predictions);
  EXPECT_TRUE(std::isfinite(evaluation.loss));
  EXPECT_EQ(evaluation.calibration[14].images, 2);
  EXPECT_NEAR(evaluation.calibration_error, 0.5, 1e-12);
}

TEST(Evaluate, RefusesWhatItCannotMeasure) {
  const Predictions good = predicted_as({0, 1}, {0, 0}, 2);
  EXPECT_THROW(evaluate(predicted_as({}, {}, 2)), ShapeError);
  Predictions bad = good;
  bad.classes.clear();
  EXPECT_THROW(evaluate(bad), ShapeError);
  bad = good;
  bad.logits.pop_back();
  EXPECT_THROW(evaluate(bad), ShapeError);
  bad = good;
  bad.files.pop_back();
  EXPECT_THROW(evaluate(bad), ShapeError);
  bad = good;
  bad.features = {1, 2, 3};
  EXPECT_THROW(evaluate(bad), ShapeError);
  for (const std::int32_t label : {-2, -1, 2}) {
    bad = good;
    bad.labels[1] = label;
    EXPECT_THROW(evaluate(bad), ShapeError) << label;
  }
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    bad = good;
    bad.logits[3] = value;
    try {
      evaluate(bad);
      ADD_FAILURE() << value;
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "[predictions] expected finite logits, got others for picture 1");
    }
  }
}

TEST(Roc, AreaByHand) {
  // Of the pairs (known, unknown) (3,1) (3,2) (2,1) are in order, (2,2) is a tie.
  const RocCurve roc = roc_curve({3, 2}, {1, 2});
  EXPECT_DOUBLE_EQ(roc.area, (1 + 1 + 1 + 0.5) / 4);
  EXPECT_EQ(roc.known_rejected, (std::vector<double>{0, 0, 0.5, 1}));
  EXPECT_EQ(roc.unknown_rejected, (std::vector<double>{0, 0.5, 1, 1}));
  EXPECT_DOUBLE_EQ(roc_curve({2, 3}, {0, 1}).area, 1);
  EXPECT_DOUBLE_EQ(roc_curve({0, 1}, {2, 3}).area, 0);
  EXPECT_DOUBLE_EQ(roc_curve({1, 1, 1}, {1}).area, 0.5);
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_DOUBLE_EQ(roc_curve({infinity}, {-infinity, 0}).area, 1);
}

TEST(Roc, RejectsWhileKeeping) {
  std::vector<double> known, unknown;
  for (int i = 0; i < 20; ++i) known.push_back(i);  // one of 20 may go
  for (const double score : {-1.0, -1.0, 0.0, 0.5, 1.0, 7.0}) unknown.push_back(score);
  const RocCurve roc = roc_curve(known, unknown);
  // Below 1 lie known 0 and four unknown; a limit above 1 would cost a second known one.
  EXPECT_DOUBLE_EQ(rejected_when_keeping(roc, 0.95), 4.0 / 6);
  EXPECT_DOUBLE_EQ(rejected_when_keeping(roc, 1), 2.0 / 6);
  EXPECT_DOUBLE_EQ(rejected_when_keeping(roc, 0), 1);
}

TEST(Roc, RefusesNothingAndNaN) {
  EXPECT_THROW(roc_curve({}, {1}), ShapeError);
  EXPECT_THROW(roc_curve({1}, {}), ShapeError);
  EXPECT_THROW(roc_curve({1}, {std::nan("")}), ShapeError);
}

TEST(EvaluateUnknown, ComparesTheScores) {
  // Known pictures have a clear winner, unknown ones none; one unknown looks known.
  const Predictions known = predicted_as({0, 1, 2, 0}, {0, 1, 2, 0}, 3, 5);
  Predictions unknown = predicted_as({-1, -1, -1}, {0, 1, 2}, 3, 0.5f);
  unknown.logits[0] = 9;
  Confidence confidence;
  confidence.score = FamiliarityScore::max_logit;
  confidence.least_familiarity = 2;
  const UnknownEvaluation evaluation = evaluate_unknown(known, unknown, confidence);
  EXPECT_EQ(evaluation.images, 3);
  EXPECT_EQ(evaluation.score, FamiliarityScore::max_logit);
  EXPECT_DOUBLE_EQ(evaluation.roc.area, 2.0 / 3);
  EXPECT_DOUBLE_EQ(evaluation.rejected_at_95, 2.0 / 3);
  EXPECT_DOUBLE_EQ(evaluation.rejected, 2.0 / 3);
  EXPECT_EQ(evaluation.alternatives.size(), 3u) << "those that need no features";

  confidence.features = {2, {0, 0, 1, 1, 2, 2}, {1, 1}};
  EXPECT_THROW(evaluate_unknown(known, unknown, confidence), UsageError) << "no features to look at";
}

}  // namespace
}  // namespace pila
