#include "weights/model_card.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "weights/text.h"

namespace pila {
namespace {

using Json = nlohmann::json;

constexpr int kCardFormat = 1;

Json to_json(const HeadLayerSpec& layer) {
  Json json = {{"type", layer.type}, {"name", layer.name}};
  if (layer.type == "Dense") {
    json["units"] = layer.units;
    json["bias"] = layer.bias;
    json["activation"] = layer.activation;
  } else if (layer.type == "Dropout") {
    json["rate"] = layer.rate;
  }
  return json;
}

HeadLayerSpec head_layer(const Json& json) {
  HeadLayerSpec layer;
  layer.type = json.at("type");
  layer.name = json.at("name");
  layer.units = json.value("units", std::int64_t{0});
  layer.bias = json.value("bias", true);
  layer.activation = json.value("activation", "linear");
  layer.rate = json.value("rate", 0.0);
  return layer;
}

UnknownScore unknown_score(const Json& json) {
  UnknownScore unknown;
  unknown.kind = json.at("kind");
  unknown.threshold = json.at("threshold");
  unknown.parameters = json.value("parameters", unknown.parameters);
  return unknown;
}

Json to_json(const Ranges& ranges) {
  Json json = Json::object();
  for (const auto& [product, range] : ranges) json[product] = {range.low, range.high};
  return json;
}

Ranges ranges_of(const Json& json) {
  Ranges ranges;
  for (const auto& [product, range] : json.get_ref<const Json::object_t&>()) {
    const auto ends = range.get<std::vector<double>>();
    if (ends.size() != 2) throw FileError("its card is damaged: expected two numbers for a range");
    ranges[product] = {static_cast<float>(ends[0]), static_cast<float>(ends[1])};
  }
  return ranges;
}

// JSON has no numbers that are not finite; a file's and a program's may be.
bool is_usable(const ModelDescription& model) {
  const auto finite = [](const auto& pair) { return std::isfinite(pair.second); };
  const auto in_order = [](const auto& pair) {
    const ValueRange& range = pair.second;
    return std::isfinite(range.low) && std::isfinite(range.high) && range.low <= range.high;
  };
  return std::isfinite(model.temperature) && model.temperature > 0 && model.threshold >= 0 &&
         model.threshold <= 1 && std::isfinite(model.unknown.threshold) &&
         std::ranges::all_of(model.unknown.parameters, finite) && std::ranges::all_of(model.ranges, in_order);
}

constexpr const char* kUsable =
    "a temperature above 0, a threshold of 0 to 1, finite numbers for unknown objects, and finite ranges "
    "with "
    "the lower end first";

}  // namespace

std::string format_card(const ModelDescription& model) {
  if (!is_usable(model)) {
    throw UsageError(std::string("[model_card] expected ") + kUsable);
  }
  Json head = Json::array();
  for (const HeadLayerSpec& layer : model.spec.head) {
    head.push_back(to_json(layer));
  }
  Json json = {
      {"format", kCardFormat},
      {"network", model.spec.network},
      {"width", model.spec.width},
      {"input", {model.spec.input_height, model.spec.input_width}},
      {"head", head},
      {"preprocessing", {{"scale", model.preprocessing.scale}, {"offset", model.preprocessing.offset}}},
      {"classes", model.classes},
      {"temperature", model.temperature},
      {"threshold", model.threshold},
      {"data_hash", model.data_hash},
      {"program", model.program},
  };
  if (!model.unknown.kind.empty()) {
    json["unknown"] = {{"kind", model.unknown.kind},
                       {"threshold", model.unknown.threshold},
                       {"parameters", model.unknown.parameters}};
  }
  if (!model.ranges.empty()) json["int8"] = {{"ranges", to_json(model.ranges)}};
  try {
    if (!model.recipe.empty()) {
      json["recipe"] = Json::parse(model.recipe);
    }
    return json.dump();
  } catch (const Json::exception& error) {
    throw UsageError("[model_card] expected a recipe of JSON and names of UTF-8: " + in_quotes(error.what()));
  }
}

ModelDescription parse_card(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    if (const int format = json.at("format"); format > kCardFormat) {
      throw FileError("made by a newer version of Pila: format " + std::to_string(format) +
                      ", this program reads " + std::to_string(kCardFormat));
    }
    ModelDescription model;
    model.spec.network = json.at("network");
    model.spec.width = json.at("width");
    model.spec.input_height = json.at("input").at(0);
    model.spec.input_width = json.at("input").at(1);
    for (const Json& layer : json.at("head")) {
      model.spec.head.push_back(head_layer(layer));
    }
    model.preprocessing.height = model.spec.input_height;
    model.preprocessing.width = model.spec.input_width;
    model.preprocessing.scale = json.at("preprocessing").at("scale");
    model.preprocessing.offset = json.at("preprocessing").at("offset");
    model.classes = json.at("classes");
    model.temperature = json.value("temperature", model.temperature);
    model.threshold = json.value("threshold", model.threshold);
    model.data_hash = json.value("data_hash", "");
    model.program = json.value("program", "");
    if (json.contains("unknown")) {
      model.unknown = unknown_score(json["unknown"]);
    }
    if (json.contains("int8")) model.ranges = ranges_of(json["int8"].at("ranges"));
    if (json.contains("recipe")) {
      model.recipe = json["recipe"].dump();
    }
    if (!is_usable(model)) {
      throw FileError(std::string("its card is damaged: expected ") + kUsable);
    }
    return model;
  } catch (const Json::exception& error) {
    throw FileError("its card is damaged: " + in_quotes(error.what()));
  }
}

}  // namespace pila
