#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "apps/report/confidence.h"
#include "engine/core/error.h"

namespace pila {
namespace {

struct Named {
  FamiliarityScore score;
  const char* name;
};
constexpr Named kNames[] = {
    {FamiliarityScore::max_softmax, "max_softmax"}, {FamiliarityScore::max_logit, "max_logit"},
    {FamiliarityScore::energy, "energy"},           {FamiliarityScore::cosine, "cosine"},
    {FamiliarityScore::mahalanobis, "mahalanobis"},
};

double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum);
}

// Scores features against each class of the statistics; the best class counts.
class FeatureScore {
 public:
  explicit FeatureScore(const FeatureStatistics& statistics)
      : statistics_(statistics),
        channels_(static_cast<std::size_t>(statistics.channels)),
        classes_(statistics.class_means.size() / channels_),
        centre_(channels_) {
    for (std::size_t i = 0; i < statistics.class_means.size(); ++i) {
      centre_[i % channels_] += statistics.class_means[i] / static_cast<double>(classes_);
    }
  }

  double cosine(std::span<const float> features) const {
    double best = -1;
    for (std::size_t k = 0; k < classes_; ++k) {
      double product = 0, features_squared = 0, mean_squared = 0;
      for (std::size_t c = 0; c < channels_; ++c) {
        const double x = features[c] - centre_[c], m = mean(k, c) - centre_[c];
        product += x * m;
        features_squared += x * x;
        mean_squared += m * m;
      }
      const double norms = std::sqrt(features_squared * mean_squared);
      if (norms > 0) best = std::max(best, product / norms);
    }
    return best;
  }

  double negated_distance(std::span<const float> features) const {
    double best = -std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < classes_; ++k) {
      double distance = 0;
      for (std::size_t c = 0; c < channels_; ++c) {
        const double difference = features[c] - mean(k, c);
        distance += difference * difference / statistics_.variances[c];
      }
      best = std::max(best, -distance);
    }
    return best;
  }

 private:
  double mean(std::size_t k, std::size_t c) const { return statistics_.class_means[k * channels_ + c]; }

  const FeatureStatistics& statistics_;
  std::size_t channels_, classes_;
  std::vector<double> centre_;
};

void check_statistics(const Predictions& predictions, FamiliarityScore score,
                      const FeatureStatistics& statistics) {
  const std::string name = name_of(score);
  if (statistics.empty() || predictions.features.empty()) {
    throw UsageError("[" + name + "] expected features of the pictures and statistics of the training, got " +
                     (statistics.empty() ? "no statistics" : "no features"));
  }
  if (predictions.channels() != statistics.channels) {
    throw ShapeError("[" + name + "] expected " + std::to_string(statistics.channels) + " features, got " +
                     std::to_string(predictions.channels()));
  }
}

}  // namespace

const char* name_of(FamiliarityScore score) {
  const auto* found =
      std::find_if(std::begin(kNames), std::end(kNames), [&](const Named& n) { return n.score == score; });
  return found->name;
}

FamiliarityScore familiarity_score_of(std::string_view name) {
  for (const Named& named : kNames) {
    if (named.name == name) return named.score;
  }
  throw UsageError("[familiarity] expected a score's name such as 'energy', got '" + std::string(name) + "'");
}

bool needs_features(FamiliarityScore score) {
  return score == FamiliarityScore::cosine || score == FamiliarityScore::mahalanobis;
}

FeatureStatistics fit_feature_statistics(const Predictions& training) {
  training.check();
  const auto channels = static_cast<std::size_t>(training.channels());
  if (channels == 0) throw ShapeError("[feature statistics] expected pictures with features, got none");
  const std::size_t classes = training.classes.size();
  std::vector<double> sums(classes * channels), centre(channels);
  std::vector<std::int64_t> counts(classes);
  std::int64_t images = 0;
  for (std::int64_t i = 0; i < training.images(); ++i) {
    const std::int32_t label = training.labels[static_cast<std::size_t>(i)];
    if (label == kUnknownLabel) continue;
    ++counts[static_cast<std::size_t>(label)];
    ++images;
    const auto features = training.features_of(i);
    for (std::size_t c = 0; c < channels; ++c) {
      sums[static_cast<std::size_t>(label) * channels + c] += features[c];
      centre[c] += features[c];
    }
  }
  if (images == 0) throw ShapeError("[feature statistics] expected labelled pictures, got none");

  FeatureStatistics statistics;
  statistics.channels = training.channels();
  std::int64_t classes_seen = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    if (counts[k] > 0) ++classes_seen;
    for (std::size_t c = 0; c < channels; ++c) {
      const double mean = counts[k] > 0 ? sums[k * channels + c] / static_cast<double>(counts[k])
                                        : centre[c] / static_cast<double>(images);
      statistics.class_means.push_back(static_cast<float>(mean));
    }
  }
  std::vector<double> variances(channels);
  const auto freedom = static_cast<double>(std::max<std::int64_t>(images - classes_seen, 1));
  double mean_variance = 0;
  for (std::int64_t i = 0; i < training.images(); ++i) {
    const std::int32_t label = training.labels[static_cast<std::size_t>(i)];
    if (label == kUnknownLabel) continue;
    const auto features = training.features_of(i);
    for (std::size_t c = 0; c < channels; ++c) {
      const double difference =
          features[c] - statistics.class_means[static_cast<std::size_t>(label) * channels + c];
      variances[c] += difference * difference / freedom;
      mean_variance += difference * difference / freedom / static_cast<double>(channels);
    }
  }
  // A channel that hardly moved in a few hundred pictures may move in the next one.
  constexpr double kShrinkage = 0.2, kLeastVariance = 1e-12;
  for (const double variance : variances) {
    const double shrunk = (1 - kShrinkage) * variance + kShrinkage * mean_variance;
    statistics.variances.push_back(static_cast<float>(std::max(shrunk, kLeastVariance)));
  }
  return statistics;
}

std::vector<double> familiarity(const Predictions& predictions, FamiliarityScore score,
                                const FeatureStatistics& statistics) {
  std::vector<double> scores;
  const auto score_each = [&](const auto& f) {
    for (std::int64_t i = 0; i < predictions.images(); ++i) scores.push_back(f(i));
  };
  if (needs_features(score)) {
    if (predictions.images() == 0) return scores;
    check_statistics(predictions, score, statistics);
    const FeatureScore by_class(statistics);
    score_each([&](std::int64_t i) {
      const auto features = predictions.features_of(i);
      return score == FamiliarityScore::cosine ? by_class.cosine(features)
                                               : by_class.negated_distance(features);
    });
    return scores;
  }
  score_each([&](std::int64_t i) {
    const auto logits = predictions.logits_of(i);
    const double largest = *std::max_element(logits.begin(), logits.end());
    if (score == FamiliarityScore::max_logit) return largest;
    const double energy = log_sum_exp(logits);
    return score == FamiliarityScore::energy ? energy : std::exp(largest - energy);
  });
  return scores;
}

}  // namespace pila
