// The layers and weights of a Keras file, in whichever of Keras' layouts they are stored.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weights/hdf5_tree.h"

namespace pila {

struct Weight {
  std::string name;  // "kernel", "depthwise_kernel", "gamma", ... without ":0"
  Array array;
};

// A layer that has weights.
struct WeightLayer {
  std::string
      path;  // "sequential_1/Conv1": the sub-models that it is in, and its name. Empty when not stored.
  std::string group;  // the file's top-level group that it came from, another name for it: see load_weights.h
  std::string type;   // Keras' class in snake case ("conv2d") where the file says it: .weights.h5 and .keras
  std::vector<Weight> weights;

  const Weight* find(std::string_view name) const;  // null when there is none
  // What to call the layer in a message.
  std::string label() const { return path.empty() ? group : path; }
};

enum class WeightLayout {
  legacy,  // Keras 1 and 2, and Keras 3's .h5: groups by layer name
  keras3,  // .weights.h5: groups by layer class, real names as an attribute or not at all
};

struct WeightFile {
  std::filesystem::path file;
  WeightLayout layout = WeightLayout::legacy;
  std::string keras_version;
  std::string model_config;             // JSON; empty when the file holds weights alone
  std::string card;                     // Pila's own description of the model, JSON; see model_card.h
  std::vector<WeightLayer> layers;      // in the file's order
  std::map<std::string, Array> arrays;  // of Pila's own, by name; see ModelDescription

  // The layer whose path ends in `name` or, where there is none, whose group is `name`. Null when there is
  // none or more than one.
  const WeightLayer* find(std::string_view name) const;
};

// The root attribute that holds a file's card.
inline constexpr const char* kCardAttribute = "pila_card";
// The group that holds its arrays, which no list of layers names.
inline constexpr const char* kArraysGroup = "pila_arrays";

// Throws FileError, the file's name first: what read_container() throws, not a Keras layout, a weight that is
// listed and absent, two weights of one name, a weight or array that is not of finite numbers.
WeightFile read_weight_file(const std::filesystem::path& file);

// The same from a tree; `file` is only named in messages.
WeightFile interpret(Hdf5Tree tree, const std::filesystem::path& file);

}  // namespace pila
