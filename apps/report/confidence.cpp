#include "apps/report/confidence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr double kLeastTemperature = 0.05, kMostTemperature = 20;

// -log of the posterior of T = exp(log_t). The prior is log2 T ~ N(0, 1): a factor of two either way is
// usual. It weighs as much as a fraction of a picture that was got wrong, so hundreds of pictures overrule
// it; without it, a few that are all right would ask for a temperature of zero.
double negative_log_posterior(const Predictions& predictions, double log_t) {
  const double temperature = std::exp(log_t);
  const double deviations = log_t / std::numbers::ln2;
  double sum = deviations * deviations / 2;
  for (std::int64_t i = 0; i < predictions.images(); ++i) {
    const std::int32_t label = predictions.labels[static_cast<std::size_t>(i)];
    if (label == kUnknownLabel) continue;
    sum += cross_entropy(predictions.logits_of(i), label, temperature);
  }
  return sum;
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
  const auto f = [&](double log_t) { return negative_log_posterior(validation, log_t); };
  // The likelihood is convex in 1 / T, the prior in log T; their sum may have two valleys.
  constexpr int kCells = 48;
  const double low = std::log(kLeastTemperature), high = std::log(kMostTemperature);
  const auto at = [&](int i) { return low + (high - low) * i / kCells; };
  int best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= kCells; ++i) {
    if (const double value = f(at(i)); value < least) {
      least = value;
      best = i;
    }
  }
  return std::exp(minimise(f, at(std::max(best - 1, 0)), at(std::min(best + 1, kCells))));
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
  const auto scores = familiarity(validation, score, statistics);
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

std::vector<bool> accepted(const Predictions& predictions, const Confidence& confidence) {
  const auto scores = familiarity(predictions, confidence.score, confidence.features);
  std::vector<bool> result;
  for (std::int64_t i = 0; i < predictions.images(); ++i) {
    const auto shares = probabilities(predictions.logits_of(i), confidence.temperature);
    result.push_back(*std::max_element(shares.begin(), shares.end()) >= confidence.threshold &&
                     scores[static_cast<std::size_t>(i)] >= confidence.least_familiarity);
  }
  return result;
}

}  // namespace pila
