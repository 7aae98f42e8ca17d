#include "apps/report/confidence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/report/confidence_card.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "tests/apps/report/predictions_maker.h"

namespace pila {
namespace {

using test::predicted_as;

// Pictures whose labels are drawn from softmax(logits / temperature).
Predictions drawn_at(double temperature, int images, int classes, std::uint64_t seed) {
  Random random(seed);
  Predictions predictions =
      predicted_as(std::vector<std::int32_t>(static_cast<std::size_t>(images)),
                   std::vector<std::int32_t>(static_cast<std::size_t>(images)), classes);
  for (float& logit : predictions.logits) logit = static_cast<float>(3 * random.normal() * temperature);
  for (std::int64_t i = 0; i < predictions.images(); ++i) {
    const auto shares = probabilities(predictions.logits_of(i), temperature);
    double left = random.uniform();
    std::int32_t label = 0;
    while (label + 1 < classes && left >= shares[static_cast<std::size_t>(label)]) {
      left -= shares[static_cast<std::size_t>(label++)];
    }
    predictions.labels[static_cast<std::size_t>(i)] = label;
  }
  return predictions;
}

TEST(Temperature, IsFoundAgain) {
  for (const double temperature : {0.3, 1.0, 2.5, 8.0}) {
    // The deviation of log T among 4000 such pictures is about 2%; the bound is four of them.
    EXPECT_NEAR(fit_temperature(drawn_at(temperature, 4000, 10, 7)) / temperature, 1, 0.08) << temperature;
  }
}

TEST(Temperature, StaysReasonableForFewPictures) {
  std::vector<std::int32_t> labels(20);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i % 4);
  // All right, however clearly: by the rule of succession, (20 + 1 / 4) / 21 is what they are worth. Without
  // it, the answer would be 0 for all but the first.
  for (const float margin : {0.5f, 5.0f, 50.0f}) {
    const Predictions predictions = predicted_as(labels, labels, 4, margin);
    const double t = fit_temperature(predictions);
    EXPECT_NEAR(probabilities(predictions.logits_of(3), t)[3], 20.25 / 21, 1e-4) << margin << ", " << t;
  }
  EXPECT_NEAR(fit_temperature(predicted_as(labels, labels, 4, 0.001f)), 0.05, 1e-5);
  // All wrong, and sure of it.
  std::vector<std::int32_t> wrong = labels;
  std::rotate(wrong.begin(), wrong.begin() + 1, wrong.end());
  EXPECT_NEAR(fit_temperature(predicted_as(labels, wrong, 4, 50)), 20, 1e-4);
  EXPECT_NEAR(fit_temperature(predicted_as({}, {}, 4)), 1, 1e-6);
  EXPECT_NEAR(fit_temperature(predicted_as({-1}, {1}, 4, 9)), 1, 1e-6) << "unknown pictures do not count";
}

TEST(Threshold, IsASplitConformalQuantile) {
  std::vector<double> values(99);
  std::iota(values.begin(), values.end(), 1);  // 1 ... 99
  std::reverse(values.begin(), values.end());
  EXPECT_EQ(choose_threshold(values, 0.95), 5);  // (99 + 1) * 0.05: four values lie below
  EXPECT_EQ(choose_threshold(values, 0.5), 50);
  EXPECT_EQ(choose_threshold(values, 1), 1);
  EXPECT_EQ(choose_threshold(values, 0), 99);
  EXPECT_EQ(choose_threshold({3, 1, 2}, 0.95), 1) << "too few values to give one up";
  EXPECT_EQ(choose_threshold({7}, 0.5), 7);
  EXPECT_THROW(choose_threshold({}, 0.95), ShapeError);
}

TEST(Familiarity, ByHand) {
  Predictions predictions = predicted_as({0, 1}, {0, 1}, 2);
  predictions.logits = {1, 3, 2, 2};
  const auto max_softmax = familiarity(predictions, FamiliarityScore::max_softmax);
  EXPECT_NEAR(max_softmax[0], 1 / (1 + std::exp(-2)), 1e-12);
  EXPECT_NEAR(max_softmax[1], 0.5, 1e-12);
  EXPECT_EQ(familiarity(predictions, FamiliarityScore::max_logit), (std::vector<double>{3, 2}));
  const auto energy = familiarity(predictions, FamiliarityScore::energy);
  EXPECT_NEAR(energy[0], std::log(std::exp(1) + std::exp(3)), 1e-12);
  EXPECT_NEAR(energy[1], std::log(2) + 2, 1e-12);

  predictions.features = {4, 0, 1, 1};
  // Means (2, 0) and (0, 2), whose centre is (1, 1); deviations 1 and 1/2.
  const FeatureStatistics statistics{2, {2, 0, 0, 2}, {1, 0.25f}};
  const auto cosine = familiarity(predictions, FamiliarityScore::cosine, statistics);
  EXPECT_NEAR(cosine[0], (3 + 1) / (std::sqrt(10) * std::sqrt(2)), 1e-12);
  EXPECT_EQ(cosine[1], -1) << "the centre has no direction";
  const auto distance = familiarity(predictions, FamiliarityScore::mahalanobis, statistics);
  EXPECT_NEAR(distance[0], -4, 1e-12);               // of class 0
  EXPECT_NEAR(distance[1], -(1 + 1 / 0.25), 1e-12);  // of either
}

TEST(Familiarity, NeedsItsFeatures) {
  Predictions predictions = predicted_as({0, 1}, {0, 1}, 2);
  EXPECT_THROW(familiarity(predictions, FamiliarityScore::cosine), UsageError);
  const FeatureStatistics statistics{2, {2, 0, 0, 2}, {1, 1}};
  EXPECT_THROW(familiarity(predictions, FamiliarityScore::mahalanobis, statistics), UsageError);
  predictions.features = {1, 2, 3, 4, 5, 6};
  EXPECT_THROW(familiarity(predictions, FamiliarityScore::cosine, statistics), ShapeError);
  EXPECT_THROW(familiarity_score_of("entropy"), UsageError);
  for (const FamiliarityScore score : kFamiliarityScores) {
    EXPECT_EQ(familiarity_score_of(name_of(score)), score);
  }
}

TEST(FeatureStatistics, ByHand) {
  Predictions training = predicted_as({0, 0, 1, kUnknownLabel}, {0, 0, 1, 0}, 3);
  training.features = {1, 0, 3, 0, 10, 6, 99, 99};
  const FeatureStatistics statistics = fit_feature_statistics(training);
  EXPECT_EQ(statistics.channels, 2);
  // Class 2 has no pictures: the mean of all that have a label.
  const std::vector<float> means = {2, 0, 10, 6, 14.0f / 3, 2};
  ASSERT_EQ(statistics.class_means.size(), means.size());
  for (std::size_t i = 0; i < means.size(); ++i) EXPECT_NEAR(statistics.class_means[i], means[i], 1e-6);
  // Within classes the first channel has squares 1 + 1 and 3 - 2 degrees of freedom, the second none; a fifth
  // of the mean, 1, is mixed in.
  EXPECT_NEAR(statistics.variances[0], 0.8f * 2 + 0.2f, 1e-6);
  EXPECT_NEAR(statistics.variances[1], 0.2f, 1e-6);
}

TEST(FeatureStatistics, TakeFewAndRefuseNone) {
  Predictions one = predicted_as({1}, {1}, 2);
  one.features = {5, 5, 5};
  const FeatureStatistics statistics = fit_feature_statistics(one);
  const double score = familiarity(one, FamiliarityScore::mahalanobis, statistics)[0];
  EXPECT_EQ(score, 0);
  one.features.clear();
  EXPECT_THROW(fit_feature_statistics(one), ShapeError);
  EXPECT_THROW(fit_feature_statistics(predicted_as({}, {}, 2)), ShapeError);
}

TEST(Confidence, KeepsTheShareThatWasAskedFor) {
  const Predictions validation = drawn_at(2, 2000, 5, 11), later = drawn_at(2, 2000, 5, 12);
  const Confidence confidence = fit_confidence(validation, FamiliarityScore::energy, {}, 0.9);
  const auto kept = accepted(later, confidence);
  double right = 0, right_kept = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (best_class(later.logits_of(static_cast<std::int64_t>(i))) != later.labels[i]) continue;
    right += 1;
    right_kept += kept[i] ? 1 : 0;
  }
  // At least nine in ten, less four deviations of those draws; and not all.
  EXPECT_GT(right_kept / right, 0.9 - 4 * std::sqrt(0.09 / right));
  EXPECT_LT(right_kept / right, 0.97);
}

TEST(Confidence, RejectsNothingWhereNothingWasRight) {
  const Predictions validation = predicted_as({0, 1}, {1, 0}, 2, 3);
  const Confidence confidence = fit_confidence(validation, FamiliarityScore::energy);
  EXPECT_EQ(accepted(validation, confidence), (std::vector<bool>{true, true}));
}

TEST(Confidence, GoesByScoresThatCameWithThePredictions) {
  Predictions validation = predicted_as({0, 1, 0}, {0, 1, 0}, 2, 3);
  validation.familiarity = {0.5, 0.75, 0.25};
  const FeatureStatistics statistics{1, {0, 1}, {1}};
  const Confidence confidence = fit_confidence(validation, FamiliarityScore::cosine, statistics);
  EXPECT_EQ(confidence.least_familiarity, 0.25);
  validation.familiarity = {0.5, 0.2, 0.25};
  EXPECT_EQ(accepted(validation, confidence), (std::vector<bool>{true, false, true}));
  validation.familiarity.pop_back();
  EXPECT_THROW(validation.check(), ShapeError);
}

TEST(Confidence, ComesBackFromAModelFile) {
  Confidence confidence;
  confidence.temperature = 1.7;
  confidence.threshold = 0.6;
  confidence.score = FamiliarityScore::cosine;
  confidence.least_familiarity = 0.25;
  confidence.features = {3, {1, 2, 3, 4, 5, 6}, {7, 8, 9}};
  ModelDescription description;
  description.classes = {"a", "b"};
  describe_confidence(confidence, description);
  EXPECT_EQ(confidence_of(description), confidence);
  EXPECT_EQ(description.unknown.threshold, -0.25) << "in the file, what is unknown scores high";

  EXPECT_EQ(confidence_of({}), Confidence());
  const ModelDescription good = description;
  description.unknown.kind = "later";
  EXPECT_THROW(confidence_of(description), FileError);
  description = good;
  description.arrays.clear();
  EXPECT_THROW(confidence_of(description), FileError);
  description = good;
  description.arrays.erase("feature_variances");
  EXPECT_THROW(confidence_of(description), FileError);
  description = good;
  description.classes.push_back("c");
  EXPECT_THROW(confidence_of(description), FileError);
  description = good;
  description.arrays["feature_variances"].shape = {2};
  EXPECT_THROW(confidence_of(description), FileError);
}

}  // namespace
}  // namespace pila
