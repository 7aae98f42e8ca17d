#include <map>
#include <optional>
#include <set>

#include "engine/core/error.h"
#include "weights/layouts.h"
#include "weights/text.h"

namespace pila {
namespace {

std::string scalar_attribute(const Hdf5Tree::Attributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  return found == attributes.end() || found->second.values.size() != 1 ? "" : found->second.values[0];
}

// A list that may have been split: "layer_names", or "layer_names0", "layer_names1", ...
std::optional<std::vector<std::string>> list_attribute(const Hdf5Tree::Attributes& attributes,
                                                       const std::string& name) {
  if (const auto whole = attributes.find(name); whole != attributes.end()) {
    return whole->second.values;
  }
  std::optional<std::vector<std::string>> list;
  for (int part = 0;; ++part) {
    const auto found = attributes.find(name + std::to_string(part));
    if (found == attributes.end()) {
      return list;
    }
    list = list.value_or(std::vector<std::string>{});
    list->insert(list->end(), found->second.values.begin(), found->second.values.end());
  }
}

// Where a weight's name says that it belongs: "model1/Conv1/kernel:0" is kernel of model1/Conv1.
struct WeightName {
  std::string layer, weight;
};

WeightName parse_weight_name(const std::string& text) {
  const std::string name = text.ends_with(":0") ? text.substr(0, text.size() - 2) : text;
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? WeightName{"", name}
                                    : WeightName{name.substr(0, slash), name.substr(slash + 1)};
}

// The layer's path from its top-level group on, whatever Keras wrote in front: nothing, the group, or the
// models around it.
std::string layer_path(const std::string& group, const std::string& layer) {
  if (layer.empty() || ends_with_path(layer, group)) {
    return group;
  }
  return layer.starts_with(group + "/") ? layer : group + "/" + layer;
}

// One group is a layer, or a sub-model with all of its layers' weights in an order that depends on what was
// frozen.
void add_group(Hdf5Tree& tree, const std::string& root, const std::string& group,
               const std::vector<std::string>& weight_names, WeightFile& file) {
  const std::size_t first = file.layers.size();
  std::map<std::string, std::size_t> places;
  for (const std::string& listed_name : weight_names) {
    const std::string place = root + group + "/" + listed_name;
    const auto array = tree.arrays.find(place);
    if (array == tree.arrays.end()) {
      throw FileError("damaged: layer " + in_quotes(group) + " lists the weight " + in_quotes(listed_name) +
                      ", which is absent or listed twice");
    }
    WeightName name = parse_weight_name(listed_name);
    const std::string path = layer_path(group, name.layer);
    const auto [known, is_new] = places.emplace(path, file.layers.size());
    if (is_new) {
      file.layers.push_back({path, group, "", {}});
    }
    file.layers[known->second].weights.push_back({std::move(name.weight), std::move(array->second)});
    tree.arrays.erase(array);
  }
  if (file.layers.size() - first > 1) {  // a sub-model: its name is not a layer's
    for (std::size_t i = first; i < file.layers.size(); ++i) {
      file.layers[i].group.clear();
    }
  }
}

}  // namespace

WeightFile interpret_legacy(Hdf5Tree tree) {
  const bool whole_model = tree.groups.contains("model_weights");
  const std::string root = whole_model ? "model_weights/" : "";
  const Hdf5Tree::Attributes& attributes = tree.groups[whole_model ? "model_weights" : ""];
  const auto layer_names = list_attribute(attributes, "layer_names");
  if (!layer_names) {
    throw FileError(
        "HDF5, but not Keras: expected the attribute layer_names or a group layers, found neither");
  }
  WeightFile file;
  file.layout = WeightLayout::legacy;
  file.keras_version = scalar_attribute(attributes, "keras_version");
  file.model_config = scalar_attribute(tree.groups[""], "model_config");
  file.card = scalar_attribute(tree.groups[""], kCardAttribute);
  const std::string own = std::string(kArraysGroup) + "/";
  for (auto& [path, array] : tree.arrays) {
    if (path.starts_with(own)) {
      file.arrays[path.substr(own.size())] = std::move(array);
    }
  }
  std::set<std::string_view> seen;
  for (const std::string& group : *layer_names) {
    if (!seen.insert(group).second) {
      throw FileError("damaged: layer " + in_quotes(group) + " is listed twice");
    }
    const auto found = tree.groups.find(root + group);
    const auto weight_names =
        found == tree.groups.end() ? std::nullopt : list_attribute(found->second, "weight_names");
    if (!weight_names) {
      throw FileError("damaged: layer " + in_quotes(group) + " has no list of weights");
    }
    add_group(tree, root, group, *weight_names, file);
  }
  return file;
}

}  // namespace pila
