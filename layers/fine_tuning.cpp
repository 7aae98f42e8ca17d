#include "layers/fine_tuning.h"

#include <cmath>
#include <string>

#include "engine/core/error.h"

namespace pila {

void train_last(Model& model, int k) {
  if (k < 0) {
    throw UsageError("[model] expected to train the last 0 or more layers, got " + std::to_string(k));
  }
  const auto backbone = model.backbone().layers();
  std::size_t first = backbone.size();
  while (k > 0 && first > 0) {
    if (!backbone[--first]->parameters().empty()) --k;
  }
  for (std::size_t i = 0; i < model.layers().size(); ++i) model.layers()[i]->set_trainable(i >= first);
}

bool is_kernel(const Parameter& parameter) { return parameter.name.ends_with("kernel"); }

std::vector<AdamParameter> learning_parameters(const Model& model, const LearningOptions& options) {
  if (!(options.layer_decay > 0 && options.layer_decay <= 1)) {
    throw UsageError("[model] expected a layer-wise decay above 0 and at most 1, got " +
                     std::to_string(options.layer_decay));
  }
  const std::size_t backbone_size = model.backbone().layers().size();
  const auto blocks = model.backbone().blocks();
  std::size_t block = 0;  // how many have begun
  std::vector<AdamParameter> result;
  for (std::size_t i = 0; i < model.layers().size(); ++i) {
    while (block < blocks.size() && blocks[block] <= i) ++block;
    const std::size_t depth = i < backbone_size ? blocks.size() - block + 1 : 0;
    const Layer& layer = *model.layers()[i];
    if (!layer.trainable()) continue;
    for (const Parameter& parameter : layer.parameters()) {
      if (!parameter.learns) continue;
      AdamParameter learning;
      learning.value = parameter.value;
      learning.rate_factor = std::pow(options.layer_decay, static_cast<double>(depth));
      if (options.decay_kernels_only && !is_kernel(parameter)) learning.weight_decay = 0;
      result.push_back(learning);
    }
  }
  return result;
}

}  // namespace pila
