// What a network loses when it is computed less precisely.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/report/predictions.h"

namespace pila {

// Mean over the pictures: cross-entropy where there is a label, else the Kullback-Leibler divergence of
// `exact`'s probabilities from those of `rounded`. Both are of the same pictures.
double mean_loss(const Predictions& exact, const Predictions& rounded, double temperature);

// The share of pictures that both call the same.
double same_answers(const Predictions& exact, const Predictions& rounded);

// How many pictures are called what they are.
struct RightAnswers {
  std::int64_t pictures = 0, exact = 0, rounded = 0;
  double drop() const;  // in percentage points; negative for a gain
};

struct AnswerComparison {
  bool labelled = false;  // else what `exact` says counts as right
  RightAnswers all;
  std::vector<RightAnswers> classes;
};

// Of the labelled pictures, or of all where none is labelled.
AnswerComparison compare_answers(const Predictions& exact, const Predictions& rounded);

// A table: how many pictures, the shares of right answers, and the class.
std::string comparison_text(const AnswerComparison& comparison, const std::vector<std::string>& classes);

}  // namespace pila
