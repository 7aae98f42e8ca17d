#include "weights/save_weights.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "weights/container.h"
#include "weights/model_card.h"
#include "weights/text.h"
#include "weights/weight_file.h"

namespace pila {
namespace {

Array array_of(const Context& ctx, const Tensor& tensor) {
  Array array;
  const auto extents = tensor.shape().extents();
  array.shape.assign(extents.begin(), extents.end());
  switch (tensor.type()) {
    case DType::f32:
      array.values = tensor.to_vector<float>(ctx);
      break;
    case DType::f64:
      array.values = tensor.to_vector<double>(ctx);
      break;
    default:
      throw UsageError("[save_weights] expected parameters of float32 or float64, got " +
                       to_string(tensor.type()));
  }
  return array;
}

Hdf5Tree tree_of(const Context& ctx, const Model& model, const std::string& card) {
  Hdf5Tree tree;
  TextAttribute layer_names;
  for (const Layer* layer : model.layers()) {
    layer_names.values.push_back(layer->name());
    TextAttribute weight_names;
    for (const Parameter& parameter : layer->parameters()) {
      const std::string name = layer->name() + "/" + parameter.name + ":0";
      weight_names.values.push_back(name);
      tree.arrays[layer->name() + "/" + name] = array_of(ctx, parameter.value);
    }
    tree.groups[layer->name()]["weight_names"] = weight_names;
  }
  Hdf5Tree::Attributes& root = tree.groups[""];
  root["layer_names"] = layer_names;
  root["backend"] = TextAttribute::text("tensorflow");
  // The last version of Keras 2; what Keras does differently by version lies before 2.0.
  root["keras_version"] = TextAttribute::text("2.15.0");
  if (!card.empty()) {
    root[kCardAttribute] = TextAttribute::text(card);
  }
  return tree;
}

// Checks an array on its way into the file.
Array checked(const std::string& name, const FloatArray& array) {
  std::int64_t count = 1;
  bool good = !name.empty() && name.find('/') == std::string::npos;
  for (const std::int64_t extent : array.shape) {
    good = good && extent >= 0;
    count *= extent;
  }
  if (!good || count != static_cast<std::int64_t>(array.values.size()) ||
      !std::ranges::all_of(array.values, [](float value) { return std::isfinite(value); })) {
    throw UsageError("[save_model] expected an array of a name without '/' and of finite numbers that fill " +
                     shape_text(array.shape) + ", got " + in_quotes(name) + " of " +
                     std::to_string(array.values.size()));
  }
  Array result;
  result.shape = array.shape;
  result.values = array.values;
  return result;
}

}  // namespace

void save_weights(const Context& ctx, const Model& model, const std::filesystem::path& file,
                  const std::string& card) {
  write_container(file, tree_of(ctx, model, card));
}

void save_model(const Context& ctx, const Model& model, const ModelDescription& description,
                const std::filesystem::path& file) {
  if (const auto classes = static_cast<std::int64_t>(description.classes.size());
      classes != 0 && classes != model.classes()) {
    throw UsageError("[save_model] expected " + std::to_string(model.classes()) + " class names, got " +
                     std::to_string(classes));
  }
  for (const auto& [product, range] : description.ranges) {
    if (model.find_layer(product) == nullptr) {
      throw UsageError("[save_model] expected ranges of the network's layers, got one of " +
                       in_quotes(product));
    }
  }
  ModelDescription actual = description;
  actual.spec = model.spec();
  Hdf5Tree tree = tree_of(ctx, model, format_card(actual));
  for (const auto& [name, array] : description.arrays) {
    tree.arrays[std::string(kArraysGroup) + "/" + name] = checked(name, array);
  }
  write_container(file, tree);
}

}  // namespace pila
