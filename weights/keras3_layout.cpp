#include <algorithm>
#include <charconv>
#include <compare>
#include <string_view>

#include "engine/core/error.h"
#include "weights/layouts.h"
#include "weights/text.h"

namespace pila {
namespace {

constexpr std::string_view kContainers[] = {"layers", "_layer_checkpoint_dependencies"};

bool is_container(std::string_view component) {
  return std::ranges::find(kContainers, component) != std::end(kContainers);
}

// "conv2d_12" is the thirteenth layer of class conv2d in its model; "conv2d" the first.
struct Numbered {
  std::string_view type;
  int number = 0;
  auto operator<=>(const Numbered&) const = default;
};

Numbered parse_component(std::string_view text) {
  const std::size_t underscore = text.rfind('_');
  if (underscore != std::string_view::npos) {
    int number = 0;
    const std::string_view digits = text.substr(underscore + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size() && !digits.empty()) {
      return {text.substr(0, underscore), number};
    }
  }
  return {text, 0};
}

std::vector<Numbered> sort_key(std::string_view path) {
  std::vector<Numbered> key;
  for (const std::string_view component : split(path, '/')) {
    key.push_back(parse_component(component));
  }
  return key;
}

std::string weight_name(std::string_view type, std::size_t index, std::size_t count) {
  constexpr const char* kNormalization[] = {"gamma", "beta", "moving_mean", "moving_variance"};
  constexpr const char* kLinear[] = {"kernel", "bias"};
  if (type == "batch_normalization" && count == 4) {
    return kNormalization[index];
  }
  return type != "batch_normalization" && count <= 2 ? kLinear[index] : std::to_string(index);
}

// `place`: "layers/functional/layers/conv2d", the group above "vars".
WeightLayer make_layer(Hdf5Tree& tree, const std::string& place) {
  WeightLayer layer;
  layer.group = place;
  layer.type = parse_component(last_component(place)).type;
  const std::string vars = place + "/vars/";
  std::vector<std::string> names;
  for (auto array = tree.arrays.lower_bound(vars);
       array != tree.arrays.end() && array->first.starts_with(vars); ++array) {
    names.push_back(array->first.substr(vars.size()));
  }
  std::ranges::sort(names, {}, [](const std::string& name) { return std::pair(name.size(), name); });
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] != std::to_string(i)) {
      throw FileError("damaged: " + in_quotes(place) + " holds " + in_quotes(names[i]) +
                      ", expected weight " + std::to_string(i));
    }
    layer.weights.push_back(
        {weight_name(layer.type, i, names.size()), std::move(tree.arrays.at(vars + names[i]))});
  }
  const auto& attributes = tree.groups[place + "/vars"];
  if (const auto name = attributes.find("name");
      name != attributes.end() && name->second.values.size() == 1) {
    const std::string_view around = std::string_view(place).substr(0, place.rfind('/'));
    for (const std::string_view component : split(around, '/')) {
      if (!is_container(component)) {
        layer.path += std::string(component) + "/";
      }
    }
    layer.path += name->second.values[0];
  }
  return layer;
}

std::string root_text(Hdf5Tree& tree, const std::string& name) {
  const auto found = tree.groups[""].find(name);
  return found == tree.groups[""].end() || found->second.values.size() != 1 ? "" : found->second.values[0];
}

}  // namespace

bool is_keras3(const Hdf5Tree& tree) {
  return std::ranges::any_of(
             kContainers,
             [&](std::string_view container) { return tree.groups.contains(std::string(container)); }) &&
         !tree.groups.contains("model_weights") &&
         (!tree.groups.contains("") || !tree.groups.at("").contains("layer_names"));
}

WeightFile interpret_keras3(Hdf5Tree tree) {
  WeightFile file;
  file.layout = WeightLayout::keras3;
  file.model_config = root_text(tree, "model_config");
  file.card = root_text(tree, kCardAttribute);
  std::vector<std::string> places;
  for (const auto& [path, attributes] : tree.groups) {
    constexpr std::string_view kVars = "/vars";
    if (path.ends_with(kVars) && is_container(path.substr(0, path.find('/')))) {
      places.push_back(path.substr(0, path.size() - kVars.size()));
    }
  }
  std::ranges::sort(places, {}, sort_key);
  for (const std::string& place : places) {
    WeightLayer layer = make_layer(tree, place);
    // Dropout's random state is no weight.
    if (!layer.weights.empty() && layer.type != "seed_generator") {
      file.layers.push_back(std::move(layer));
    }
  }
  return file;
}

}  // namespace pila
