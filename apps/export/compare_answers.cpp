#include "apps/export/compare_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace pila {
namespace {

double divergence(std::span<const float> exact, std::span<const float> rounded, double temperature) {
  const auto p = probabilities(exact, temperature), q = probabilities(rounded, temperature);
  const auto logarithm = [](double x) { return std::log(std::max(x, std::numeric_limits<double>::min())); };
  double sum = 0;
  for (std::size_t k = 0; k < p.size(); ++k) sum += p[k] * (logarithm(p[k]) - logarithm(q[k]));
  return sum;
}

void add(RightAnswers& sum, bool exact, bool rounded) {
  ++sum.pictures;
  sum.exact += exact ? 1 : 0;
  sum.rounded += rounded ? 1 : 0;
}

std::string row(const RightAnswers& answers, const std::string& name) {
  const auto percent = [&](std::int64_t right) {
    return 100 * static_cast<double>(right) / static_cast<double>(answers.pictures);
  };
  return fmt::format("{:>8}{:>9.2f}%{:>9.2f}%   {}\n", answers.pictures, percent(answers.exact),
                     percent(answers.rounded), name);
}

}  // namespace

double mean_loss(const Predictions& exact, const Predictions& rounded, double temperature) {
  double sum = 0;
  for (std::int64_t i = 0; i < exact.images(); ++i) {
    const std::int32_t label = exact.labels[static_cast<std::size_t>(i)];
    sum += label == kUnknownLabel ? divergence(exact.logits_of(i), rounded.logits_of(i), temperature)
                                  : cross_entropy(rounded.logits_of(i), label, temperature);
  }
  return sum / static_cast<double>(exact.images());
}

double same_answers(const Predictions& exact, const Predictions& rounded) {
  std::int64_t same = 0;
  for (std::int64_t i = 0; i < exact.images(); ++i) {
    same += best_class(exact.logits_of(i)) == best_class(rounded.logits_of(i)) ? 1 : 0;
  }
  return static_cast<double>(same) / static_cast<double>(exact.images());
}

double RightAnswers::drop() const {
  return 100 * static_cast<double>(exact - rounded) / static_cast<double>(pictures);
}

AnswerComparison compare_answers(const Predictions& exact, const Predictions& rounded) {
  AnswerComparison result;
  result.labelled =
      std::ranges::any_of(exact.labels, [](std::int32_t label) { return label != kUnknownLabel; });
  result.classes.resize(exact.classes.size());
  for (std::int64_t i = 0; i < exact.images(); ++i) {
    const std::int32_t before = best_class(exact.logits_of(i)), after = best_class(rounded.logits_of(i));
    const std::int32_t right = result.labelled ? exact.labels[static_cast<std::size_t>(i)] : before;
    if (right == kUnknownLabel) continue;
    add(result.all, before == right, after == right);
    add(result.classes[static_cast<std::size_t>(right)], before == right, after == right);
  }
  return result;
}

std::string comparison_text(const AnswerComparison& comparison, const std::vector<std::string>& classes) {
  std::string text = "pictures   float32      int8\n" + row(comparison.all, "all");
  for (std::size_t k = 0; k < classes.size(); ++k) {
    if (comparison.classes[k].pictures > 0) text += row(comparison.classes[k], classes[k]);
  }
  return text;
}

}  // namespace pila
