// What a network said of a set of pictures, and what they are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pila {

// The label of a picture that is of none of the classes.
constexpr std::int32_t kUnknownLabel = -1;

struct Predictions {
  std::vector<std::string> classes;
  std::vector<std::string> files;    // [images]
  std::vector<std::int32_t> labels;  // [images], in [0, classes) or kUnknownLabel
  std::vector<float> logits;         // [images, classes]
  std::vector<float> features;       // [images, channels], pooled; may be empty
  // [images], or empty: the score that Confidence goes by, where it was computed when the network was at hand
  // that gave the features, as in cross-validation.
  std::vector<double> familiarity;

  std::int64_t images() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t channels() const;  // 0 without features
  std::span<const float> logits_of(std::int64_t image) const;
  std::span<const float> features_of(std::int64_t image) const;  // empty without features

  // Throws ShapeError, "[predictions]" first, when sizes don't fit together or a label is out of range; Error
  // when a logit or feature is not a finite number, with the picture's name.
  void check() const;
};

// softmax(logits / temperature) in double precision.
std::vector<double> probabilities(std::span<const float> logits, double temperature = 1);

// -log of the label's probability.
double cross_entropy(std::span<const float> logits, std::int32_t label, double temperature = 1);

// The class of the largest logit, the first one of equals.
std::int32_t best_class(std::span<const float> logits);

}  // namespace pila
