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
namespace {

constexpr double kLeastShare = 1e-30;  // of a probability whose logarithm is taken

}  // namespace

Classifier::Classifier(const fs::path& model, const fs::path& labels, const Options& options)
    : file_(model),
      ctx_(open_device(options.device, options.threads)),
      host_(Device::cpu(1)),
      batch_(options.batch),
      loaded_(load_model(ctx_, model)) {
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
  const ModelSpec& spec = loaded_.model->spec();
  const std::string& device = ctx_.device()->name();
  description_ = fmt::format("{}: {}, width {}, {} x {}, {} classes{}{}", file_.string(), spec.network,
                             spec.width, spec.input_width, spec.input_height, classes_.size(),
                             plan.precision == Precision::f32 ? "" : ", " + to_string(plan.precision),
                             device == "cpu" ? "" : " on " + device);
  planned_ = std::make_unique<PlannedModel>(ctx_, *loaded_.model, loaded_.preprocessing, GraphInput::images,
                                            std::move(plan));
  planned_->keep_only(batch_, std::move(loaded_.model));
  try {
    confidence_ = confidence_of(loaded_);
  } catch (const FileError& error) {
    throw FileError(model.string() + ": " + error.what());
  }
  if (options.threshold) confidence_.threshold = *options.threshold;
}

bool Classifier::recognises(std::span<const float> probabilities, double familiarity) const {
  return accepts(confidence_, *std::max_element(probabilities.begin(), probabilities.end()), familiarity);
}

std::vector<float> Classifier::preprocess(const media::Image& image) const {
  const auto pixels = Tensor::from(host_, {1, image.height, image.width, 3}, image.pixels);
  return pila::preprocess(host_, pixels, loaded_.preprocessing).to_vector<float>(host_);
}

std::string Classifier::explain_plan() const { return planned_->session(batch_).plan().explain(); }

void Classifier::submit(std::span<const float> images) {
  const auto image = static_cast<std::size_t>(loaded_.preprocessing.height * loaded_.preprocessing.width * 3);
  submitted_.push_back(static_cast<std::int64_t>(images.size() / image));
  // What is missing in a batch is black.
  std::vector<float> batch(images.begin(), images.end());
  batch.resize(static_cast<std::size_t>(batch_) * image);
  planned_->submit(batch, batch_);
}

Classifier::Answers Classifier::collect() {
  auto [outputs, milliseconds] = planned_->collect();
  const auto count = submitted_.front();
  submitted_.pop_front();
  const auto of_count = [&](std::vector<float>& values) {
    values.resize(values.size() / static_cast<std::size_t>(batch_) * static_cast<std::size_t>(count));
    return std::move(values);
  };
  Predictions predictions;
  predictions.classes = classes_;
  predictions.logits = of_count(outputs.logits);
  predictions.features = of_count(outputs.features);
  if (!std::ranges::all_of(predictions.logits, [](float logit) { return std::isfinite(logit); })) {
    throw FileError(file_.string() + ": the network's probabilities are not numbers; its weights are unfit");
  }
  predictions.labels.assign(static_cast<std::size_t>(count), kUnknownLabel);
  predictions.files.resize(static_cast<std::size_t>(count));
  const std::vector<double> scores = familiarity(predictions, confidence_.score, confidence_.features);
  Answers answers{.answers = {}, .network_ms = milliseconds};
  for (std::int64_t i = 0; i < count; ++i) {
    const auto shares = probabilities(predictions.logits_of(i), confidence_.temperature);
    Answer answer{.probabilities = {shares.begin(), shares.end()}, .sighting = {}};
    for (const double share : shares) {
      answer.sighting.log_probabilities.push_back(static_cast<float>(std::log(std::max(share, kLeastShare))));
    }
    answer.sighting.familiarity = scores[static_cast<std::size_t>(i)];
    answer.recognised = recognises(answer.probabilities, answer.sighting.familiarity);
    answers.answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace pila
