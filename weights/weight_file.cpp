#include "weights/weight_file.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/core/error.h"
#include "weights/container.h"
#include "weights/layouts.h"
#include "weights/text.h"

namespace pila {
namespace {

void check_finite(const std::string& what, const Array& array) {
  std::visit(
      [&](const auto& values) {
        const auto bad = std::ranges::find_if(values, [](auto value) { return !std::isfinite(value); });
        if (bad != values.end()) {
          throw FileError(what + ": expected finite numbers, got " + (std::isnan(*bad) ? "NaN" : "infinity") +
                          " at element " + std::to_string(bad - values.begin()));
        }
      },
      array.values);
}

void check_weights(const WeightLayer& layer) {
  std::set<std::string_view> names;
  for (const Weight& weight : layer.weights) {
    const std::string what = "layer " + in_quotes(layer.label()) + ", weight " + in_quotes(weight.name);
    if (!names.insert(weight.name).second) {
      throw FileError(what + ": occurs twice");
    }
    check_finite(what, weight.array);
  }
}

void check_arrays(const WeightFile& file) {
  for (const auto& [name, array] : file.arrays) {
    const std::string what = "array " + in_quotes(name);
    if (!array.other_type.empty()) {
      throw FileError(what + ": expected floating-point numbers, got " + array.other_type);
    }
    check_finite(what, array);
  }
}

void check_layers(const WeightFile& file) {
  std::vector<std::string_view> paths;
  for (const WeightLayer& layer : file.layers) {
    check_weights(layer);
    if (!layer.path.empty()) {
      paths.push_back(layer.path);
    }
  }
  std::ranges::sort(paths);
  if (const auto twice = std::ranges::adjacent_find(paths); twice != paths.end()) {
    throw FileError("layer " + in_quotes(*twice) + ": occurs twice");
  }
}

}  // namespace

const Weight* WeightLayer::find(std::string_view name) const {
  const auto found = std::ranges::find(weights, name, &Weight::name);
  return found == weights.end() ? nullptr : &*found;
}

const WeightLayer* WeightFile::find(std::string_view name) const {
  const auto only = [&](const auto& fits) -> const WeightLayer* {
    const WeightLayer* found = nullptr;
    for (const WeightLayer& layer : layers) {
      if (fits(layer)) {
        if (found != nullptr) {
          return nullptr;
        }
        found = &layer;
      }
    }
    return found;
  };
  if (const WeightLayer* layer = only([&](const WeightLayer& l) { return l.path == name; })) {
    return layer;
  }
  if (const WeightLayer* layer = only([&](const WeightLayer& l) { return ends_with_path(l.path, name); })) {
    return layer;
  }
  return only([&](const WeightLayer& l) { return l.group == name; });
}

WeightFile interpret(Hdf5Tree tree, const std::filesystem::path& file) {
  try {
    WeightFile result =
        is_keras3(tree) ? interpret_keras3(std::move(tree)) : interpret_legacy(std::move(tree));
    result.file = file;
    check_layers(result);
    check_arrays(result);
    return result;
  } catch (const FileError& error) {
    throw FileError(file.string() + ": " + error.what());
  }
}

WeightFile read_weight_file(const std::filesystem::path& file) {
  return interpret(read_container(file), file);
}

}  // namespace pila
