#include "apps/live/classifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "apps/core/class_names.h"
#include "apps/core/device.h"
#include "apps/core/precision.h"
#include "apps/report/confidence_card.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {

Classifier::Classifier(const fs::path& model, const fs::path& labels, const Options& options)
    : file_(model), ctx_(open_device(options.device, options.threads)), loaded_(load_model(ctx_, model)) {
  const std::int64_t count = loaded_.model->classes();
  if (count == 0) {
    throw FileError(model.string() +
                    ": a classifier is expected, and the model ends without classes (no top)");
  }
  for (const auto& warning : loaded_.warnings) warnings_.push_back(model.string() + ": " + warning);
  std::vector<std::string> names = labels.empty() ? loaded_.classes : read_labels(labels);
  if (names.empty()) {
    warnings_.push_back(model.string() +
                        ": the model does not name its classes, numbers stand for them (--labels FILE)");
    names = index_names(count);
  }
  if (static_cast<std::int64_t>(names.size()) != count) {
    throw FileError(fmt::format("{}: {} class names are expected for {}, and it has {}",
                                (labels.empty() ? model : labels).string(), count, model.string(),
                                names.size()));
  }
  classes_ = distinct_names(names);
  PlanOptions plan = plan_options(*ctx_.device(), loaded_, options.precision);
  plan.without = options.without;
  precision_ = plan.precision;
  planned_ = std::make_unique<PlannedModel>(ctx_, *loaded_.model, loaded_.preprocessing, GraphInput::images,
                                            std::move(plan));
  try {
    confidence_ = confidence_of(loaded_);
  } catch (const FileError& error) {
    throw FileError(model.string() + ": " + error.what());
  }
}

std::string Classifier::describe() const {
  const ModelSpec& spec = loaded_.model->spec();
  const std::string& device = ctx_.device()->name();
  return fmt::format("{}: {}, width {}, {} x {}, {} classes{}{}", file_.string(), spec.network, spec.width,
                     spec.input_width, spec.input_height, classes_.size(),
                     precision_ == Precision::f32 ? "" : ", " + to_string(precision_),
                     device == "cpu" ? "" : " on " + device);
}

std::string Classifier::explain_plan() const { return planned_->session(1).plan().explain(); }

void Classifier::submit(std::span<const float> images, std::int64_t count) {
  planned_->submit(images, count);
}

Classifier::Answers Classifier::collect() {
  auto [outputs, milliseconds] = planned_->collect();
  const auto count = static_cast<std::int64_t>(outputs.logits.size() / classes_.size());
  Predictions predictions;
  predictions.classes = classes_;
  predictions.logits = std::move(outputs.logits);
  predictions.features = std::move(outputs.features);
  if (!std::ranges::all_of(predictions.logits, [](float logit) { return std::isfinite(logit); })) {
    throw FileError(file_.string() + ": the network's probabilities are not numbers; its weights are unfit");
  }
  predictions.labels.assign(static_cast<std::size_t>(count), kUnknownLabel);
  predictions.files.resize(static_cast<std::size_t>(count));
  const std::vector<bool> recognised = accepted(predictions, confidence_);
  Answers answers{.answers = {}, .network_ms = milliseconds};
  for (std::int64_t i = 0; i < count; ++i) {
    const auto shares = probabilities(predictions.logits_of(i), confidence_.temperature);
    answers.answers.push_back({{shares.begin(), shares.end()}, recognised[static_cast<std::size_t>(i)]});
  }
  return answers;
}

}  // namespace pila
