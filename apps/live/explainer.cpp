#include "apps/live/explainer.h"

#include <algorithm>
#include <utility>

#include "apps/media/heat_map.h"
#include "apps/report/confidence_card.h"
#include "apps/report/gradcam.h"
#include "apps/report/predict.h"

namespace pila {

void Explainer::use(std::filesystem::path model) {
  const std::lock_guard lock(mutex_);
  file_ = std::move(model);
  loaded_.reset();
}

void Explainer::load() {
  auto loaded = std::make_unique<LoadedModel>(load_model(ctx_, file_));
  confidence_ = confidence_of(*loaded);
  loaded_ = std::move(loaded);
}

Explainer::Explanation Explainer::explain(const media::Image& picture) {
  const std::lock_guard lock(mutex_);
  if (!loaded_) load();
  const Model& model = *loaded_->model;
  const auto pixels = Tensor::from(ctx_, {1, picture.height, picture.width, 3}, picture.pixels);
  const Tensor images = preprocess(ctx_, pixels, loaded_->preprocessing);

  PlannedModel planned(ctx_, model, loaded_->preprocessing, GraphInput::images);
  Predictions predictions;
  for (std::int64_t i = 0; i < model.classes(); ++i) predictions.classes.push_back(std::to_string(i));
  append_outputs(planned, images, predictions);
  predictions.labels = {kUnknownLabel};
  predictions.files = {""};

  Explanation explanation;
  const auto shares = probabilities(predictions.logits, confidence_.temperature);
  explanation.probabilities.assign(shares.begin(), shares.end());
  explanation.recognised = accepted(predictions, confidence_).front();
  const std::int32_t best = best_class(predictions.logits);
  const auto maps = has_pooled_class_map(model) ? pooled_class_map(ctx_, model, images, {&best, 1})
                                                : grad_cam(ctx_, model, images, {&best, 1});
  explanation.heat_map =
      media::with_heat_map(picture, maps.front().values, maps.front().height, maps.front().width);
  return explanation;
}

}  // namespace pila
