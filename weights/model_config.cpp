#include "weights/model_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/core/error.h"
#include "weights/text.h"

namespace pila {
namespace {

using Json = nlohmann::json;

constexpr int kDeepestModel = 64;
constexpr std::size_t kMostLayers = 100'000;

// A layer that is no model itself.
struct FlatLayer {
  std::string type, name;
  std::string path;  // with the sub-models that it is in
  const Json* node;  // "config", "inbound_nodes"
  const Json& config() const { return node->at("config"); }
};

[[noreturn]] void refuse(const FlatLayer& layer, const std::string& why) {
  throw FileError("layer " + in_quotes(layer.name) + " (" + in_quotes(layer.type) + "): " + why);
}

void flatten(const Json& model, const std::string& path, int depth, std::vector<FlatLayer>& flat) {
  if (depth > kDeepestModel) {
    throw FileError("models are nested more than " + std::to_string(kDeepestModel) + " deep");
  }
  const Json& config = model.at("config");
  const Json& layers =
      config.is_array() ? config : config.at("layers");  // early Keras 2: a Sequential's list
  for (const Json& node : layers) {
    const auto type = node.at("class_name").get<std::string>();
    const Json& own = node.at("config");
    std::string name = own.is_object() ? own.value("name", "") : "";
    std::string place = path.empty() ? name : path + "/" + name;
    if (own.is_array() || own.contains("layers")) {
      flatten(node, place, depth + 1, flat);
    } else if (flat.size() >= kMostLayers) {
      throw FileError("more than " + std::to_string(kMostLayers) + " layers");
    } else {
      flat.push_back({type, std::move(name), std::move(place), &node});
    }
  }
}

// The number behind `key`, or `otherwise` where it is absent or null.
double number(const Json& config, const char* key, double otherwise) {
  const auto found = config.find(key);
  return found == config.end() || found->is_null() ? otherwise : found->get<double>();
}

std::int64_t extent(const FlatLayer& layer, const Json& value) {
  const auto result = value.get<double>();
  if (!(result >= 1 && result <= 1e6) || result != std::floor(result)) {
    refuse(layer, "expected a size of 1 to 1000000, got " + value.dump());
  }
  return static_cast<std::int64_t>(result);
}

// One number for all channels, or one each.
std::array<double, 3> per_channel(const FlatLayer& layer, const Json& value) {
  if (value.is_array()) {
    if (value.size() != 3) {
      refuse(layer, "expected 1 or 3 numbers, got " + std::to_string(value.size()));
    }
    return {value[0].get<double>(), value[1].get<double>(), value[2].get<double>()};
  }
  const auto all = value.get<double>();
  return {all, all, all};
}

// The constant operand of an arithmetic layer: TFOpLambda stores {"y": 127.5}, Keras 3 {"args": [tensor,
// 127.5]}.
double operand(const FlatLayer& layer) {
  const Json& inbound = layer.node->at("inbound_nodes").at(0);
  if (inbound.is_array() && !inbound.empty()) {
    const Json& call = inbound[0].is_array() ? inbound[0] : inbound;
    return call.at(3).at("y").get<double>();
  }
  if (inbound.is_object()) {
    return inbound.at("args").at(1).get<double>();
  }
  refuse(layer, "expected a constant operand");
}

// What happens to the pixels before the backbone.
class InputSide {
 public:
  void add(const FlatLayer& layer) {
    if (layer.type == "InputLayer" || layer.type.starts_with("Random")) {
      return;  // augmentation does nothing outside of training
    }
    const std::string operation =
        layer.type == "TFOpLambda" ? layer.config().at("function").get<std::string>() : layer.type;
    if (layer.type == "Rescaling") {
      const auto scale = per_channel(layer, layer.config().at("scale"));
      const auto offset = per_channel(layer, layer.config().value("offset", Json(0.0)));
      apply(scale, offset);
    } else if (layer.type == "Resizing") {
      resize(layer);
    } else if (operation == "math.truediv" || operation == "TrueDivide" || operation == "Divide") {
      apply_all(1 / operand(layer), 0);
    } else if (operation == "math.multiply" || operation == "Multiply") {
      apply_all(operand(layer), 0);
    } else if (operation == "math.subtract" || operation == "Subtract") {
      apply_all(1, -operand(layer));
    } else if (operation == "__operators__.add" || operation == "math.add" || operation == "Add") {
      apply_all(1, operand(layer));
    } else {
      refuse(layer,
             "not supported before the network (expected Rescaling, Resizing, Random..., or arithmetic)");
    }
  }

  void finish(ModelDescription& result) const {
    if (resized_) {
      result.spec.input_height = height_;
      result.spec.input_width = width_;
    }
    result.preprocessing = default_preprocessing(result.spec);
    if (!scaled_) {
      return;
    }
    for (std::size_t c = 0; c < 3; ++c) {
      if (!std::isfinite(scale_[c]) || !std::isfinite(offset_[c])) {
        throw FileError("scaling of the input: expected finite numbers");
      }
      result.preprocessing.scale[c] = static_cast<float>(scale_[c]);
      result.preprocessing.offset[c] = static_cast<float>(offset_[c]);
    }
  }

 private:
  void apply_all(double scale, double offset) { apply({scale, scale, scale}, {offset, offset, offset}); }

  void apply(const std::array<double, 3>& scale, const std::array<double, 3>& offset) {
    for (std::size_t c = 0; c < 3; ++c) {
      scale_[c] *= scale[c];
      offset_[c] = offset_[c] * scale[c] + offset[c];
    }
    scaled_ = true;
  }

  void resize(const FlatLayer& layer) {
    const Json& config = layer.config();
    if (config.value("interpolation", "bilinear") != "bilinear" ||
        config.value("crop_to_aspect_ratio", false)) {
      refuse(layer, "expected a bilinear stretch");
    }
    height_ = extent(layer, config.at("height"));
    width_ = extent(layer, config.at("width"));
    resized_ = true;
  }

  std::array<double, 3> scale_ = {1, 1, 1}, offset_ = {0, 0, 0};
  std::int64_t height_ = 0, width_ = 0;
  bool scaled_ = false, resized_ = false;
};

// The input's size where a layer states it.
void read_input_size(std::span<const FlatLayer> layers, ModelSpec& spec) {
  for (const FlatLayer& layer : layers) {
    for (const char* key : {"batch_input_shape", "batch_shape"}) {
      const auto shape = layer.config().find(key);
      if (shape == layer.config().end() || !shape->is_array() || shape->size() != 4) {
        continue;
      }
      if ((*shape)[3] != 3) {
        refuse(layer, "expected images with 3 channels last, got " + shape->dump().substr(0, 80));
      }
      if (!(*shape)[1].is_null() && !(*shape)[2].is_null()) {
        spec.input_height = extent(layer, (*shape)[1]);
        spec.input_width = extent(layer, (*shape)[2]);
        return;
      }
    }
  }
}

// A network that is known by its names may still have been built with other constants.
void check_backbone(std::span<const FlatLayer> layers) {
  for (const FlatLayer& layer : layers) {
    if (layer.type == "BatchNormalization" &&
        std::abs(number(layer.config(), "epsilon", 1e-3) - 1e-3) > 1e-9) {
      refuse(layer, "expected epsilon 0.001, got " + layer.config().at("epsilon").dump());
    }
    if (layer.type == "ReLU" && number(layer.config(), "max_value", 0) != 6) {
      refuse(layer, "expected max_value 6");
    }
  }
}

std::string activation_name(const FlatLayer& layer, const char* key) {
  const auto found = layer.config().find(key);
  if (found == layer.config().end() || found->is_null()) {
    return "linear";
  }
  return found->is_string() ? found->get<std::string>() : found->at("config").get<std::string>();
}

class HeadSide {
 public:
  void add(const FlatLayer& layer) {
    if (layer.type == "InputLayer" || (layer.type == "Flatten" && pooled_)) {
      return;
    }
    if (layer.type == "Activation" || layer.type == "Softmax" || layer.type == "ReLU") {
      activate(layer);
      return;
    }
    HeadLayerSpec spec;
    spec.type = layer.type;
    spec.name = names_.insert(layer.name).second ? layer.name : layer.path;
    if (layer.type == "GlobalAveragePooling2D") {
      pooled_ = true;
    } else if (layer.type == "Dropout") {
      spec.rate = number(layer.config(), "rate", 0);
      if (!(spec.rate >= 0 && spec.rate < 1)) {
        refuse(layer, "expected a rate in [0, 1), got " + layer.config().at("rate").dump());
      }
    } else if (layer.type == "Dense") {
      spec.units = extent(layer, layer.config().at("units"));
      spec.bias = layer.config().value("use_bias", true);
      spec.activation = activation_name(layer, "activation");
      check_activation(layer, spec.activation);
    } else {
      refuse(layer, "not supported behind the network (expected GlobalAveragePooling2D, Dropout or Dense)");
    }
    head_.push_back(std::move(spec));
  }

  std::vector<HeadLayerSpec> take() { return std::move(head_); }

 private:
  static void check_activation(const FlatLayer& layer, const std::string& activation) {
    if (activation != "linear" && activation != "relu" && activation != "softmax") {
      refuse(layer, "expected activation linear, relu or softmax, got " + in_quotes(activation));
    }
  }

  // A Dense layer's activation as a layer of its own.
  void activate(const FlatLayer& layer) {
    const std::string activation = layer.type == "Softmax" ? "softmax"
                                   : layer.type == "ReLU"  ? "relu"
                                                           : activation_name(layer, "activation");
    check_activation(layer, activation);
    if (head_.empty() || head_.back().type != "Dense" || head_.back().activation != "linear" ||
        (layer.type == "ReLU" && layer.config().contains("max_value") &&
         !layer.config().at("max_value").is_null())) {
      refuse(layer, "expected it right behind a linear Dense layer");
    }
    head_.back().activation = activation;
  }

  std::vector<HeadLayerSpec> head_;
  std::set<std::string> names_;
  bool pooled_ = false;
};

ModelDescription describe(const Json& model, const NetworkMark& mark) {
  std::vector<FlatLayer> flat;
  flatten(model, "", 0, flat);
  const std::span<const FlatLayer> layers(flat);
  const auto begin = std::ranges::find_if(layers, [&](const FlatLayer& l) {
    return std::ranges::find(mark.first, l.name) != std::end(mark.first);
  });
  const auto last =
      std::find_if(begin, layers.end(), [&](const FlatLayer& l) { return l.name == mark.last; });
  if (last == layers.end()) {
    throw FileError(std::string("expected the layers ") + mark.first[1] + " to " + mark.last + " of " +
                    mark.network);
  }
  const auto end = last + 1;
  check_backbone({begin, end});
  ModelDescription result;
  result.spec.network = mark.network;
  result.spec.width = mark.width;
  read_input_size({layers.begin(), end}, result.spec);
  InputSide input;
  std::for_each(layers.begin(), begin, [&](const FlatLayer& layer) { input.add(layer); });
  input.finish(result);
  HeadSide head;
  std::for_each(end, layers.end(), [&](const FlatLayer& layer) { head.add(layer); });
  result.spec.head = head.take();
  return result;
}

}  // namespace

ModelDescription describe_by_config(const WeightFile& file) {
  const NetworkMark& mark = recognise_network(file);
  const std::string where = file.file.string() + ": model_config: ";
  try {
    return describe(Json::parse(file.model_config), mark);
  } catch (const FileError& error) {
    throw FileError(where + error.what());
  } catch (const Json::exception& error) {
    throw FileError(where + "not as Keras writes it: " + in_quotes(error.what()));
  }
}

}  // namespace pila
