#include "weights/model_card.h"

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "weights/text.h"

namespace pila {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

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

}  // namespace

std::string format_card(const ModelDescription& model) {
  Json head = Json::array();
  for (const HeadLayerSpec& layer : model.spec.head) {
    head.push_back(to_json(layer));
  }
  const Json json = {
      {"format", kFormat},
      {"network", model.spec.network},
      {"width", model.spec.width},
      {"input", {model.spec.input_height, model.spec.input_width}},
      {"head", head},
      {"preprocessing", {{"scale", model.preprocessing.scale}, {"offset", model.preprocessing.offset}}},
      {"classes", model.classes},
  };
  return json.dump();
}

ModelDescription parse_card(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    if (const int format = json.at("format"); format != kFormat) {
      throw FileError("its card has format " + std::to_string(format) + ", expected " +
                      std::to_string(kFormat));
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
    return model;
  } catch (const Json::exception& error) {
    throw FileError("its card is damaged: " + in_quotes(error.what()));
  }
}

}  // namespace pila
