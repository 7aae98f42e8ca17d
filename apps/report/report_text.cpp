#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/core/class_names.h"
#include "apps/report/report_files.h"

namespace pila {
namespace {

using Json = nlohmann::ordered_json;

// As wide as people see it: UTF-8's further bytes of a character do not count.
std::size_t shown_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string row(const std::string& name, std::size_t width, const std::string& rest) {
  return name + std::string(width - std::min(width, shown_width(name)), ' ') + rest + "\n";
}

std::string columns(const ClassMetrics& metrics) {
  return fmt::format("{:>11.4f}{:>9.4f}{:>10.4f}{:>9}", metrics.precision, metrics.recall, metrics.f1,
                     metrics.images);
}

std::string confidence_text(const Evaluation& evaluation) {
  const Confidence& confidence = evaluation.confidence;
  std::string text =
      fmt::format("Accuracy {:.2f}% of {} pictures (95% interval {:.2f}% to {:.2f}%), loss {:.4f}\n",
                  evaluation.accuracy * 100, evaluation.images, evaluation.accuracy_low * 100,
                  evaluation.accuracy_high * 100, evaluation.loss);
  text += fmt::format("Expected calibration error {:.2f}% at temperature {:.3f}\n",
                      evaluation.calibration_error * 100, confidence.temperature);
  if (confidence.threshold > 0 || confidence.least_familiarity > Confidence::kAnything) {
    text +=
        fmt::format("\"Others\": {:.2f}% of the pictures (probability below {:.3f}, or {} below {:.4g}); ",
                    (1 - evaluation.kept) * 100, confidence.threshold, name_of(confidence.score),
                    confidence.least_familiarity);
    text += fmt::format("{:.2f}% of the rest are right\n", evaluation.kept_accuracy * 100);
  }
  return text;
}

std::string unknown_text(const UnknownEvaluation& unknown) {
  std::string text = fmt::format(
      "\nUnknown: {} pictures, told apart by {} with an area under the ROC curve of {:.4f};\n"
      "{:.2f}% are rejected where 95% of the known are kept, {:.2f}% by the model's own thresholds\n",
      unknown.images, name_of(unknown.score), unknown.roc.area, unknown.rejected_at_95 * 100,
      unknown.rejected * 100);
  for (const auto& other : unknown.alternatives) {
    text += fmt::format("  {:<12} area {:.4f}, {:>6.2f}% rejected at 95% kept\n", name_of(other.score),
                        other.area, other.rejected_at_95 * 100);
  }
  return text;
}

Json to_json(const ClassMetrics& metrics) {
  return {{"precision", metrics.precision},
          {"recall", metrics.recall},
          {"f1", metrics.f1},
          {"images", metrics.images}};
}

Json to_json(const UnknownEvaluation& unknown) {
  Json scores = Json::object();
  for (const auto& other : unknown.alternatives) {
    scores[name_of(other.score)] = {{"area", other.area}, {"rejected_at_95", other.rejected_at_95}};
  }
  return {{"images", unknown.images},     {"score", name_of(unknown.score)},
          {"area", unknown.roc.area},     {"rejected_at_95", unknown.rejected_at_95},
          {"rejected", unknown.rejected}, {"scores", std::move(scores)}};
}

}  // namespace

std::string report_text(const Evaluation& evaluation) {
  constexpr std::size_t kLeastWidth = 14;
  std::size_t width = kLeastWidth;
  for (const std::string& name : evaluation.class_names) width = std::max(width, shown_width(name));
  std::string text =
      row("", width, fmt::format("{:>11}{:>9}{:>10}{:>9}", "Precision", "Recall", "F1-Score", "#Images"));
  for (std::size_t k = 0; k < evaluation.classes.size(); ++k) {
    text += row(evaluation.class_names[k], width, columns(evaluation.classes[k]));
  }
  text += row("Accuracy", width, fmt::format("{:>30.4f}{:>9}", evaluation.accuracy, evaluation.images));
  text += row("AVG", width, columns(evaluation.macro));
  text += row("Weighted AVG", width, columns(evaluation.weighted));
  text += "\n" + confidence_text(evaluation);
  if (evaluation.unknown) text += unknown_text(*evaluation.unknown);
  if (!evaluation.remark.empty()) text += "\n" + evaluation.remark + "\n";
  return text;
}

std::string report_json(const Evaluation& evaluation, const Predictions& predictions) {
  const std::size_t count = evaluation.class_names.size();
  const auto names = distinct_names(evaluation.class_names);
  Json classes = Json::object(), confusion = Json::array(), bins = Json::array();
  for (std::size_t k = 0; k < count; ++k) {
    classes[names[k]] = to_json(evaluation.classes[k]);
    const auto begin = evaluation.confusion.begin() + static_cast<std::ptrdiff_t>(k * count);
    confusion.push_back(std::vector(begin, begin + static_cast<std::ptrdiff_t>(count)));
  }
  for (const CalibrationBin& bin : evaluation.calibration) {
    bins.push_back({{"images", bin.images}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
  }
  Json json = {
      {"accuracy", evaluation.accuracy},
      {"accuracy_interval", {evaluation.accuracy_low, evaluation.accuracy_high}},
      {"loss", evaluation.loss},
      {"images", evaluation.images},
      {"remark", evaluation.remark},
      {"classes", std::move(classes)},
      {"macro", to_json(evaluation.macro)},
      {"weighted", to_json(evaluation.weighted)},
      {"confusion", std::move(confusion)},
      {"calibration_error", evaluation.calibration_error},
      {"calibration", std::move(bins)},
      {"temperature", evaluation.confidence.temperature},
      {"threshold", evaluation.confidence.threshold},
      {"kept", evaluation.kept},
      {"kept_accuracy", evaluation.kept_accuracy},
      {"unknown", evaluation.unknown ? to_json(*evaluation.unknown) : Json()},
  };
  for (std::int64_t i = 0; i < predictions.images(); ++i) {
    const auto image = static_cast<std::size_t>(i);
    json["predictions"].push_back({{"file", predictions.files[image]},
                                   {"label", predictions.labels[image]},
                                   {"predicted", best_class(predictions.logits_of(i))}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pila
