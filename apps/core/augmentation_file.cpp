#include "apps/core/augmentation_file.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "apps/core/text_file.h"
#include "engine/core/error.h"
#include "weights/text.h"

namespace pila {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uintmax_t kMaxBytes = 64 * 1024;

// The battery paper: a flip, up to 18 degrees, 40% of contrast and brightness, a dropout of 0.2.
Augmentation battery() {
  Augmentation preset;
  preset.flip_horizontal = preset.flip_vertical = true;
  preset.rotation = 0.05;
  preset.contrast = preset.brightness = 0.4;
  preset.pixel_dropout = 0.2;
  return preset;
}

// The e-waste paper names RandomFlip, RandomRotation and RandomZoom, without their factors.
Augmentation ewaste() {
  Augmentation preset;
  preset.flip_horizontal = true;
  preset.rotation = 0.1;
  preset.zoom = {-0.1, 0.1};
  return preset;
}

Augmentation best() {
  Augmentation preset;
  preset.flip_horizontal = preset.flip_vertical = true;
  preset.rotation = 0.08;
  preset.zoom = {-0.15, 0.15};
  preset.translation_height = preset.translation_width = 0.05;
  preset.contrast = 0.3;
  preset.brightness = 0.2;
  preset.saturation = 0.3;
  preset.hue = 0.02;
  return preset;
}

struct Preset {
  const char* name;
  Augmentation (*make)();
};
constexpr Preset kPresets[] = {
    {"none", [] { return Augmentation(); }}, {"battery", battery}, {"ewaste", ewaste}, {"best", best}};

const Preset* find_preset(std::string_view name) {
  for (const Preset& preset : kPresets) {
    if (name == preset.name) return &preset;
  }
  return nullptr;
}

constexpr std::pair<const char*, FillMode> kFills[] = {
    {"reflect", FillMode::reflect}, {"constant", FillMode::constant}, {"nearest", FillMode::nearest}};

[[noreturn]] void throw_expected(const std::string& key, const std::string& expected, const Json& got) {
  // Arrays and objects by their kind alone: dump() calls itself for each level of a nested one.
  const std::string text = got.is_primitive() ? got.dump(-1, ' ', false, Json::error_handler_t::replace)
                                              : std::string("an ") + got.type_name();
  throw FileError("expected " + expected + " for " + key + ", got " + in_quotes(text));
}

double number(const std::string& key, const Json& json) {
  if (!json.is_number()) throw_expected(key, "a number", json);
  return json.get<double>();
}

bool flag(const std::string& key, const Json& json) {
  if (!json.is_boolean()) throw_expected(key, "true or false", json);
  return json.get<bool>();
}

// A single number stands for both ways where `both_ways`, as in Keras.
Range range(const std::string& key, const Json& json, bool both_ways) {
  if (both_ways && json.is_number()) {
    const double limit = std::abs(json.get<double>());
    return {-limit, limit};
  }
  if (!json.is_array() || json.size() != 2) {
    throw_expected(key, both_ways ? "a number or [low, high]" : "[low, high]", json);
  }
  return {number(key, json[0]), number(key, json[1])};
}

FillMode fill(const std::string& key, const Json& json) {
  for (const auto& [name, mode] : kFills) {
    if (json == name) return mode;
  }
  throw_expected(key, R"("reflect", "constant" or "nearest")", json);
}

[[noreturn]] void throw_unknown(const std::string& key) {
  std::vector<std::string> known = {"preset", "zoom_width", "fill"};
  for (const auto& flag : augmentation_flags()) known.emplace_back(flag.name);
  for (const auto& number : augmentation_numbers()) known.emplace_back(number.name);
  for (const auto& range : augmentation_ranges()) known.emplace_back(range.name);
  throw FileError("expected only the keys " + listed(known, known.size()) + ", got " + in_quotes(key));
}

void set(Augmentation& augmentation, const std::string& key, const Json& json) {
  if (key == "fill") {
    augmentation.fill = fill(key, json);
    return;
  }
  if (key == "zoom_width") {
    augmentation.zoom_width.reset();
    if (!json.is_null()) augmentation.zoom_width = range(key, json, true);
    return;
  }
  for (const AugmentationFlag& known : augmentation_flags()) {
    if (key == known.name) {
      augmentation.*known.member = flag(key, json);
      return;
    }
  }
  for (const AugmentationNumber& known : augmentation_numbers()) {
    if (key == known.name) {
      augmentation.*known.member = number(key, json);
      return;
    }
  }
  for (const AugmentationRange& known : augmentation_ranges()) {
    if (key == known.name) {
      augmentation.*known.member = range(key, json, known.member == &Augmentation::zoom);
      return;
    }
  }
  throw_unknown(key);
}

Json to_json(const Range& range) { return Json::array({range.low, range.high}); }

}  // namespace

std::vector<std::string> augmentation_presets() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

Augmentation augmentation_preset(std::string_view name) {
  if (const Preset* preset = find_preset(name)) return preset->make();
  const std::vector<std::string> names = augmentation_presets();
  throw UsageError("expected an augmentation among " + listed(names, names.size()) + ", got " +
                   in_quotes(name));
}

Augmentation parse_augmentation(std::string_view text) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    throw FileError("expected a JSON object: " + in_quotes(error.what()));
  }
  if (!json.is_object()) throw_expected("an augmentation", "a JSON object", json);
  Augmentation augmentation;
  if (const auto preset = json.find("preset"); preset != json.end()) {
    if (!preset->is_string() || find_preset(preset->get<std::string>()) == nullptr) {
      const std::vector<std::string> names = augmentation_presets();
      throw_expected("preset", "one of " + listed(names, names.size()), *preset);
    }
    augmentation = augmentation_preset(preset->get<std::string>());
    json.erase(preset);
  }
  for (const auto& [key, value] : json.items()) set(augmentation, key, value);
  if (const std::string problem = problem_of(augmentation); !problem.empty()) throw FileError(problem);
  return augmentation;
}

std::string format_augmentation(const Augmentation& augmentation) {
  Json json;
  for (const AugmentationFlag& known : augmentation_flags()) json[known.name] = augmentation.*known.member;
  for (const AugmentationNumber& known : augmentation_numbers()) {
    json[known.name] = augmentation.*known.member;
  }
  for (const AugmentationRange& known : augmentation_ranges()) {
    json[known.name] = to_json(augmentation.*known.member);
  }
  json["zoom_width"] = augmentation.zoom_width ? to_json(*augmentation.zoom_width) : Json();
  for (const auto& [name, mode] : kFills) {
    if (augmentation.fill == mode) json["fill"] = name;
  }
  return json.dump();
}

Augmentation load_augmentation(const std::string& name_or_file) {
  if (const Preset* preset = find_preset(name_or_file)) return preset->make();
  std::error_code error;
  if (!std::filesystem::exists(name_or_file, error)) {
    const std::vector<std::string> names = augmentation_presets();
    throw UsageError("expected an augmentation among " + listed(names, names.size()) + " or a file, got " +
                     in_quotes(name_or_file));
  }
  const std::string text = read_text_file(name_or_file, kMaxBytes);
  try {
    return parse_augmentation(text);
  } catch (const FileError& problem) {
    throw FileError(name_or_file + ": " + problem.what());
  }
}

}  // namespace pila
