#include "weights/networks.h"

#include <algorithm>

#include "engine/core/error.h"
#include "weights/text.h"

namespace pila {
namespace {

constexpr NetworkMark mobilenet_v2(double width, std::int64_t channels) {
  return {"mobilenet_v2",         width,     "block_16_project", channels, "conv2d", 33, 35,
          {"Conv1_pad", "Conv1"}, "out_relu"};
}

constexpr NetworkMark kMarks[] = {
    mobilenet_v2(0.35, 112), mobilenet_v2(0.5, 160), mobilenet_v2(0.75, 240),
    mobilenet_v2(1.0, 320),  mobilenet_v2(1.3, 416), mobilenet_v2(1.4, 448),
};

// The layer that tells a network's widths apart; null when it is not there.
const WeightLayer* find_marked(const WeightFile& file, const NetworkMark& mark) {
  if (const WeightLayer* layer = file.find(mark.layer)) {
    return layer;
  }
  const bool named = std::ranges::any_of(file.layers, [](const WeightLayer& l) { return !l.path.empty(); });
  if (named ||
      std::ranges::count(file.layers, mark.type, &WeightLayer::type) != static_cast<long>(mark.count)) {
    return nullptr;
  }
  std::size_t number = 0;
  for (const WeightLayer& layer : file.layers) {
    if (layer.type == mark.type && number++ == mark.number) {
      return &layer;
    }
  }
  return nullptr;
}

// The kernel of a Dense layer; null for other layers.
const Weight* dense_kernel(const WeightLayer& layer) {
  const Weight* kernel = layer.find("kernel");
  return kernel != nullptr && kernel->array.shape.size() == 2 ? kernel : nullptr;
}

}  // namespace

const NetworkMark& recognise_network(const WeightFile& file) {
  for (const NetworkMark& mark : kMarks) {
    const WeightLayer* layer = find_marked(file, mark);
    const Weight* kernel = layer == nullptr ? nullptr : layer->find("kernel");
    if (kernel != nullptr && kernel->array.shape.size() == 4 && kernel->array.shape[3] == mark.channels) {
      return mark;
    }
  }
  std::vector<std::string> names;
  for (const WeightLayer& layer : file.layers) {
    names.push_back(in_quotes(layer.label()));
  }
  throw FileError(
      file.file.string() + ": not a network that is known (mobilenet_v2 in its published widths); its " +
      std::to_string(names.size()) + " layers with weights: " + (names.empty() ? "none" : listed(names)));
}

ModelDescription describe_by_weights(const WeightFile& file) {
  const NetworkMark& mark = recognise_network(file);
  ModelDescription result;
  result.spec.network = mark.network;
  result.spec.width = mark.width;
  const WeightLayer* dense = nullptr;
  for (const WeightLayer& layer : file.layers) {
    if (dense_kernel(layer) == nullptr) {
      continue;
    }
    if (dense != nullptr) {
      throw FileError(file.file.string() + ": holds several Dense layers (" + in_quotes(dense->label()) +
                      ", " + in_quotes(layer.label()) +
                      ") and not how they are joined; expected a file of the whole model");
    }
    dense = &layer;
  }
  if (dense != nullptr) {
    result.spec.head = imagenet_head(dense_kernel(*dense)->array.shape[1]);
    HeadLayerSpec& last = result.spec.head.back();
    last.bias = dense->find("bias") != nullptr;
    if (!dense->path.empty()) {
      last.name = last_component(dense->path);
    }
  }
  result.preprocessing = default_preprocessing(result.spec);
  return result;
}

Preprocessing default_preprocessing(const ModelSpec& spec) {
  Preprocessing preprocessing;  // to [-1, 1], as MobileNetV2 and ResNet50V2 want it
  preprocessing.height = spec.input_height;
  preprocessing.width = spec.input_width;
  return preprocessing;
}

}  // namespace pila
