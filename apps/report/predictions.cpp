#include "apps/report/predictions.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"

namespace pila {
namespace {

std::span<const float> row(const std::vector<float>& values, std::int64_t index, std::int64_t width) {
  return std::span(values).subspan(static_cast<std::size_t>(index * width), static_cast<std::size_t>(width));
}

void check_finite(std::span<const float> values, const char* what, const std::string& file) {
  if (std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) return;
  throw Error("[predictions] expected finite " + std::string(what) + ", got others for " + file);
}

}  // namespace

std::int64_t Predictions::channels() const {
  return labels.empty() ? 0 : static_cast<std::int64_t>(features.size() / labels.size());
}

std::span<const float> Predictions::logits_of(std::int64_t image) const {
  return row(logits, image, static_cast<std::int64_t>(classes.size()));
}

std::span<const float> Predictions::features_of(std::int64_t image) const {
  return row(features, image, channels());
}

void Predictions::check() const {
  const auto fail = [&](const std::string& expected, std::size_t got) {
    throw ShapeError("[predictions] expected " + expected + " for " + std::to_string(labels.size()) +
                     " labels, got " + std::to_string(got));
  };
  if (classes.empty()) throw ShapeError("[predictions] expected at least one class, got none");
  if (files.size() != labels.size()) fail("as many files", files.size());
  if (logits.size() != labels.size() * classes.size()) {
    fail(std::to_string(classes.size()) + " logits each", logits.size());
  }
  if (labels.empty() ? !features.empty() : features.size() % labels.size() != 0) {
    fail("equally many features each", features.size());
  }
  if (!familiarity.empty() && familiarity.size() != labels.size()) {
    fail("as many scores of familiarity", familiarity.size());
  }
  for (std::int64_t i = 0; i < images(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (labels[at] < kUnknownLabel || labels[at] >= static_cast<std::int32_t>(classes.size())) {
      throw ShapeError("[predictions] expected a label of " + std::to_string(classes.size()) +
                       " classes, got " + std::to_string(labels[at]) + " for " + files[at]);
    }
    check_finite(logits_of(i), "logits", files[at]);
    check_finite(features_of(i), "features", files[at]);
  }
}

std::vector<double> probabilities(std::span<const float> logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> values;
  double sum = 0;
  for (const float logit : logits) {
    values.push_back(std::exp((static_cast<double>(logit) - largest) / temperature));
    sum += values.back();
  }
  for (double& value : values) value /= sum;
  return values;
}

double cross_entropy(std::span<const float> logits, std::int32_t label, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp((static_cast<double>(logit) - largest) / temperature);
  const double own = static_cast<double>(logits[static_cast<std::size_t>(label)]);
  return std::log(sum) - (own - largest) / temperature;
}

std::int32_t best_class(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace pila
