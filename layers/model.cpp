#include "layers/model.h"

#include <unordered_set>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "layers/head.h"
#include "layers/models/networks.h"
#include "layers/normalization.h"

namespace pila {

std::vector<HeadLayerSpec> imagenet_head(std::int64_t classes) {
  HeadLayerSpec pool, predictions;
  pool.type = "GlobalAveragePooling2D";
  pool.name = "global_average_pooling2d";
  predictions.type = "Dense";
  predictions.name = "predictions";
  predictions.units = classes;
  predictions.activation = "softmax";
  return {pool, predictions};
}

Model::Model(const Context& ctx, ModelSpec spec, std::uint64_t seed) : spec_(std::move(spec)) {
  const Context unrecorded = ctx.no_grad();
  Initializer init(unrecorded, spec_.type, seed);
  backbone_ = make_backbone(init, spec_);
  head_ = std::make_unique<Head>(init, spec_.head, backbone_->channels());
  layers_.assign(backbone_->layers().begin(), backbone_->layers().end());
  for (Layer* layer : head_->layers()) layers_.push_back(layer);
  std::unordered_set<std::string> names;
  for (const Layer* layer : layers_) {
    if (!names.insert(layer->name()).second) {
      throw ShapeError("[model] expected layers of different names, got two of '" + layer->name() + "'");
    }
  }
}

Model::~Model() = default;

std::int64_t Model::classes() const { return head_->classes(); }

Layer* Model::find_layer(const std::string& name) const {
  for (Layer* layer : layers_) {
    if (layer->name() == name) return layer;
  }
  return nullptr;
}

std::int64_t Model::parameter_count() const {
  std::int64_t count = 0;
  for (const Layer* layer : layers_) {
    for (const Parameter& parameter : layer->parameters()) count += parameter.value.shape().elements();
  }
  return count;
}

void Model::freeze_first(int k) {
  if (k < 0) throw UsageError("[model] expected to freeze 0 or more layers, got " + std::to_string(k));
  for (Layer* layer : layers_) layer->set_trainable(k-- <= 0);
}

std::vector<Parameter*> Model::trainable_parameters() const {
  std::vector<Parameter*> parameters;
  for (Layer* layer : layers_) {
    if (!layer->trainable()) continue;
    for (Parameter& parameter : layer->parameters()) {
      if (parameter.learns) parameters.push_back(&parameter);
    }
  }
  return parameters;
}

std::vector<Parameter*> Model::changing_parameters() const {
  std::vector<Parameter*> parameters;
  for (Layer* layer : layers_) {
    const auto* norm = dynamic_cast<const BatchNormalization*>(layer);
    const bool statistics_move = norm != nullptr && norm->uses_batch_statistics();
    for (Parameter& parameter : layer->parameters()) {
      if (parameter.learns ? layer->trainable() : statistics_move) parameters.push_back(&parameter);
    }
  }
  return parameters;
}

Tensor Model::features(const Context& ctx, const Tensor& images, const Observer& observe) const {
  return backbone_->forward(ctx, images, observe);
}

Tensor Model::logits(const Context& ctx, const Tensor& images, const Observer& observe) const {
  return head_->logits(ctx, features(ctx, images, observe));
}

Tensor Model::probabilities(const Context& ctx, const Tensor& images) const {
  if (classes() == 0) throw UsageError("[model] expected a head with classes for probabilities, got none");
  return ops::softmax(ctx, logits(ctx, images));
}

}  // namespace pila
