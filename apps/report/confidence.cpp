#include "apps/report/confidence.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr double kLeastTemperature = 0.05, kMostTemperature = 20;

// -log of the labels' likelihood, and of one picture more whose label may be any: Laplace's rule of
// succession. Twenty pictures that are all right then ask for probabilities around 20 / 21, however far apart
// their logits are; by themselves they would ask for a temperature of zero. Hundreds of pictures overrule it.
double negative_log_posterior(const Predictions& predictions, double temperature) {
  double sum = 0, prior = 0, count = 0;
  for (std::int64_t i = 0; i < predictions.images(); ++i) {
    const std::int32_t label = predictions.labels[static_cast<std::size_t>(i)];
    if (label == kUnknownLabel) continue;
    const auto logits = predictions.logits_of(i);
    const double largest = *std::max_element(logits.begin(), logits.end());
    double exponentials = 0, total = 0;
    for (const float logit : logits) {
      const double scaled = (static_cast<double>(logit) - largest) / temperature;
      exponentials += std::exp(scaled);
      total += scaled;
    }
    const double log_sum = std::log(exponentials);
    sum += log_sum - (static_cast<double>(logits[static_cast<std::size_t>(label)]) - largest) / temperature;
    prior += log_sum - total / static_cast<double>(logits.size());
    count += 1;
  }
  return sum + prior / count;
}

std::vector<double> scores_of(const Predictions& predictions, const Confidence& confidence) {
  return predictions.familiarity.empty() ? familiarity(predictions, confidence.score, confidence.features)
                                         : predictions.familiarity;
}

// The place of f's least value in [low, high], by golden sections.
template <class F>
double minimise(const F& f, double low, double high) {
  constexpr double kSection = 1 / std::numbers::phi;
  double a = high - kSection * (high - low), b = low + kSection * (high - low);
  double f_a = f(a), f_b = f(b);
  while (high - low > 1e-6) {
    if (f_a <= f_b) {
      high = b;
      b = a, f_b = f_a;
      a = high - kSection * (high - low), f_a = f(a);
    } else {
      low = a;
      a = b, f_a = f_b;
      b = low + kSection * (high - low), f_b = f(b);
    }
  }
  return (low + high) / 2;
}

}  // namespace

double fit_temperature(const Predictions& validation) {
  validation.check();
  if (std::all_of(validation.labels.begin(), validation.labels.end(),
                  [](std::int32_t label) { return label == kUnknownLabel; })) {
    return 1;
  }
  // Convex in 1 / T, so there is one valley in log T too.
  return std::exp(minimise([&](double log_t) { return negative_log_posterior(validation, std::exp(log_t)); },
                           std::log(kLeastTemperature), std::log(kMostTemperature)));
}

double choose_threshold(std::vector<double> values, double keep) {
  if (values.empty()) throw ShapeError("[threshold] expected values to choose from, got none");
  const auto count = static_cast<double>(values.size());
  const double rejected = std::floor((count + 1) * (1 - keep) + 1e-9);
  const auto place = static_cast<std::ptrdiff_t>(std::clamp(rejected - 1, 0.0, count - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

Confidence fit_confidence(const Predictions& validation, FamiliarityScore score,
                          const FeatureStatistics& statistics, double keep) {
  Confidence confidence;
  confidence.temperature = fit_temperature(validation);
  confidence.score = score;
  confidence.features = statistics;
  const auto scores = scores_of(validation, confidence);
  std::vector<double> right_probabilities, right_scores;
  for (std::int64_t i = 0; i < validation.images(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::int32_t best = best_class(validation.logits_of(i));
    if (best != validation.labels[at]) continue;
    right_probabilities.push_back(
        probabilities(validation.logits_of(i), confidence.temperature)[static_cast<std::size_t>(best)]);
    right_scores.push_back(scores[at]);
  }
  if (right_scores.empty()) return confidence;
  // Half of what may be lost for each rule, since they may reject different pictures.
  const double keep_each = 1 - (1 - keep) / 2;
  confidence.threshold = choose_threshold(std::move(right_probabilities), keep_each);
  confidence.least_familiarity = choose_threshold(std::move(right_scores), keep_each);
  return confidence;
}

bool accepts(const Confidence& confidence, double probability, double familiarity) {
  return probability >= confidence.threshold && familiarity >= confidence.least_familiarity;
}

std::vector<bool> accepted(const Predictions& predictions, const Confidence& confidence) {
  const auto scores = scores_of(predictions, confidence);
  std::vector<bool> result;
  for (std::int64_t i = 0; i < predictions.images(); ++i) {
    const auto shares = probabilities(predictions.logits_of(i), confidence.temperature);
    result.push_back(accepts(confidence, *std::max_element(shares.begin(), shares.end()),
                             scores[static_cast<std::size_t>(i)]));
  }
  return result;
}

}  // namespace pila
