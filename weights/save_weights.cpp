#include "weights/save_weights.h"

#include "engine/core/error.h"
#include "weights/container.h"
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

}  // namespace

void save_weights(const Context& ctx, const Model& model, const std::filesystem::path& file,
                  const std::string& card) {
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
  write_container(file, tree);
}

}  // namespace pila
