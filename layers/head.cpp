#include "layers/head.h"

#include "engine/core/error.h"
#include "layers/mixed_precision.h"
#include "layers/weightless.h"

namespace pila {

Head::Head(Initializer& init, const std::vector<HeadLayerSpec>& layers, std::int64_t channels) {
  bool pooled = false;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const HeadLayerSpec& spec = layers[i];
    const auto refuse = [&](const std::string& why) { throw ShapeError("[" + spec.name + "] " + why); };
    if (last_) before_.push_back(std::move(last_));
    if (spec.type == "GlobalAveragePooling2D") {
      if (pooled) refuse("expected one GlobalAveragePooling2D in a head, got a second");
      pooled = true;
      before_.push_back(std::make_unique<GlobalAveragePooling2D>(spec.name));
    } else if (spec.type == "Dropout") {
      before_.push_back(std::make_unique<Dropout>(spec.name, spec.rate, static_cast<std::uint32_t>(i)));
    } else if (spec.type == "Dense") {
      if (!pooled) refuse("expected a GlobalAveragePooling2D before the first Dense layer, got none");
      last_ = std::make_unique<Dense>(init, spec.name, channels, spec.units, spec.bias, spec.activation);
      channels = spec.units;
      classes_ = spec.units;
    } else {
      refuse("expected a head layer GlobalAveragePooling2D, Dropout or Dense, got '" + spec.type + "'");
    }
  }
  if (classes_ != 0 && !last_) {
    throw ShapeError("[" + layers.back().name + "] expected a head to end with its last Dense layer, got " +
                     layers.back().type);
  }
}

std::vector<Layer*> Head::layers() const {
  std::vector<Layer*> layers;
  for (const auto& layer : before_) layers.push_back(layer.get());
  if (last_) layers.push_back(last_.get());
  return layers;
}

Tensor Head::logits(const Context& ctx, const Tensor& features) const {
  Tensor x = widened(ctx, features);
  for (const auto& layer : before_) x = layer->forward(ctx, x);
  return last_ ? last_->logits(ctx, x) : x;
}

}  // namespace pila
