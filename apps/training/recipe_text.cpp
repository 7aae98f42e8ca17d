// Recipes as text: JSON, and the command line's short form of a stage.
#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/core/augmentation_file.h"
#include "apps/training/recipe.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using Json = nlohmann::json;

template <class Value>
struct Word {
  std::string_view text;
  Value value;
};
constexpr Word<ScheduleKind> kSchedules[] = {{"constant", ScheduleKind::constant},
                                             {"cosine", ScheduleKind::cosine}};
constexpr Word<Monitor> kMonitors[] = {
    {"none", Monitor::none}, {"loss", Monitor::loss}, {"accuracy", Monitor::accuracy}};
constexpr Word<NormMode> kNormModes[] = {{"frozen", NormMode::frozen},
                                         {"batch", NormMode::batch},
                                         {"recalibrate", NormMode::recalibrate},
                                         {"batch-recalibrate", NormMode::batch_recalibrate}};
constexpr Word<PixelRange> kPixelRanges[] = {{"-1..1", PixelRange::minus_one_to_one},
                                             {"0..1", PixelRange::zero_to_one}};

template <class Value, std::size_t count>
Value value_of(const Word<Value> (&words)[count], const std::string& key, std::string_view text) {
  std::string known;
  for (const auto& word : words) {
    if (word.text == text) return word.value;
    known += (known.empty() ? "" : " or ") + std::string(word.text);
  }
  throw UsageError("[recipe] expected " + key + " to be " + known + ", got '" + std::string(text) + "'");
}

template <class Value, std::size_t count>
std::string text_of(const Word<Value> (&words)[count], Value value) {
  for (const auto& word : words) {
    if (word.value == value) return std::string(word.text);
  }
  return {};
}

// What a Recipe and a Stage consist of, once for both directions: `visit(key, member)`.
template <class S, class Visit>
void visit_stage(S& stage, Visit&& visit) {
  visit("epochs", stage.epochs);
  visit("lr", stage.rate);
  visit("schedule", stage.schedule, kSchedules);
  visit("warmup", stage.warmup);
  visit("final", stage.final_fraction);
  visit("freeze", stage.freeze);
  visit("trainable-last", stage.trainable_last);
  visit("layer-decay", stage.layer_decay);
  visit("patience", stage.patience);
  visit("blend", stage.blend);
}

template <class R, class Visit>
void visit_recipe(R& recipe, Visit&& visit) {
  visit("name", recipe.name);
  visit("batch", recipe.batch);
  visit("dropout", recipe.dropout);
  visit("weight-decay", recipe.weight_decay);
  visit("decay-kernels-only", recipe.decay_kernels_only);
  visit("clip-norm", recipe.clip_norm);
  visit("average", recipe.average);
  visit("label-smoothing", recipe.label_smoothing);
  visit("balanced", recipe.balanced);
  visit("bn", recipe.norm, kNormModes);
  visit("monitor", recipe.monitor, kMonitors);
  visit("pixels", recipe.pixels, kPixelRanges);
}

struct Writer {
  Json& json;
  template <class Value>
  void operator()(const char* key, const Value& value) {
    json[key] = value;
  }
  void operator()(const char* key, const std::optional<int>& value) {
    if (value) json[key] = *value;
  }
  template <class Value, std::size_t count>
  void operator()(const char* key, Value value, const Word<Value> (&words)[count]) {
    json[key] = text_of(words, value);
  }
};

// Takes what it finds out of the object, so that what is left over is unknown.
struct Reader {
  Json json;
  template <class Value>
  void operator()(const char* key, Value& value) {
    const auto found = json.find(key);
    if (found == json.end()) return;
    const bool fits = std::is_same_v<Value, bool>          ? found->is_boolean()
                      : std::is_same_v<Value, std::string> ? found->is_string()
                      : std::is_same_v<Value, int>         ? is_int(*found)
                                                           : found->is_number();
    if (!fits) throw FileError("'" + std::string(key) + "' has a value of the wrong kind: " + found->dump());
    value = found->get<Value>();
    json.erase(found);
  }
  void operator()(const char* key, std::optional<int>& value) {
    if (!json.contains(key)) return;
    (*this)(key, value.emplace());
  }
  template <class Value, std::size_t count>
  void operator()(const char* key, Value& value, const Word<Value> (&words)[count]) {
    std::string text = text_of(words, value);
    (*this)(key, text);
    value = value_of(words, key, text);
  }
  void finish(const std::string& what) const {
    if (json.empty()) return;
    throw FileError("'" + json.begin().key() + "' is no key of a " + what);
  }
  static bool is_int(const Json& value) {
    if (!value.is_number_integer()) return false;
    constexpr int kMax = std::numeric_limits<int>::max();
    return value.is_number_unsigned() ? value.get<std::uint64_t>() <= std::uint64_t{kMax}
                                      : std::abs(value.get<std::int64_t>()) <= kMax;
  }
};

// Values nested without end would overflow the stack of those that copy and print them.
Json parse_shallow(std::string_view text) {
  constexpr int kMaxDepth = 8;
  return Json::parse(text, [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) throw FileError("no recipe: its values are nested too deeply");
    return true;
  });
}

Json object_of(Json json, const std::string& what) {
  if (!json.is_object()) throw FileError("a " + what + " is expected to be a JSON object");
  return json;
}

// Sets the value of one key from text.
struct Setter {
  std::string_view key, text;
  bool found = false;

  template <class Value>
  void operator()(const char* name, Value& value) {
    if (key != name) return;
    found = true;
    if constexpr (std::is_same_v<Value, std::string>) {
      value = text;
    } else if constexpr (std::is_same_v<Value, bool>) {
      constexpr Word<bool> kTruth[] = {{"true", true}, {"false", false}};
      value = value_of(kTruth, name, text);
    } else {
      const char* end = text.data() + text.size();
      const auto [stop, error] = std::from_chars(text.data(), end, value);
      if (error == std::errc{} && stop == end) return;
      throw UsageError("[recipe] expected " + std::string(key) + " to be a number, got '" +
                       std::string(text) + "'");
    }
  }
  void operator()(const char* name, std::optional<int>& value) {
    if (key == name) (*this)(name, value.emplace());
  }
  template <class Value, std::size_t count>
  void operator()(const char* name, Value& value, const Word<Value> (&words)[count]) {
    if (key != name) return;
    found = true;
    value = value_of(words, name, text);
  }
};

// All keys, for messages.
struct Lister {
  std::string keys;
  template <class... Rest>
  void operator()(const char* key, Rest&&...) {
    keys += (keys.empty() ? "" : ", ") + std::string(key);
  }
};

[[noreturn]] void refuse_key(const std::string& what, const std::string& keys, std::string_view got) {
  throw UsageError("[recipe] expected a " + what + "'s key (" + keys + "), got '" + std::string(got) + "'");
}

}  // namespace

void set(Stage& stage, std::string_view key, std::string_view text) {
  Setter setter{key, text};
  visit_stage(stage, setter);
  if (setter.found) return;
  Lister lister;
  visit_stage(stage, lister);
  refuse_key("stage", lister.keys, key);
}

void set(Recipe& recipe, std::string_view key, std::string_view text) {
  Setter setter{key, text};
  visit_recipe(recipe, setter);
  if (setter.found) return;
  Lister lister;
  visit_recipe(recipe, lister);
  refuse_key("recipe", lister.keys, key);
}

Stage parse_stage(std::string_view text) {
  Stage stage;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    if (equals == part.npos) {
      throw UsageError("[recipe] expected key=value in a stage, got '" + std::string(part) + "'");
    }
    set(stage, part.substr(0, equals), part.substr(equals + 1));
  }
  return stage;
}

std::string format_recipe(const Recipe& recipe) {
  Json json;
  visit_recipe(recipe, Writer{json});
  json["stages"] = Json::array();
  for (const Stage& stage : recipe.stages) {
    Json& part = json["stages"].emplace_back(Json::object());
    visit_stage(stage, Writer{part});
  }
  json["augmentation"] = Json::parse(format_augmentation(recipe.augmentation));
  return json.dump();
}

Recipe parse_recipe(std::string_view text) {
  try {
    Reader reader{object_of(parse_shallow(text), "recipe")};
    Recipe recipe;
    visit_recipe(recipe, reader);
    if (const auto stages = reader.json.find("stages"); stages != reader.json.end()) {
      if (!stages->is_array()) throw FileError("'stages' is expected to be a list");
      for (const Json& part : *stages) {
        Reader of_stage{object_of(part, "stage")};
        visit_stage(recipe.stages.emplace_back(), of_stage);
        of_stage.finish("stage");
      }
      reader.json.erase("stages");
    }
    if (const auto augmentation = reader.json.find("augmentation"); augmentation != reader.json.end()) {
      recipe.augmentation = augmentation->is_string() ? augmentation_preset(augmentation->get<std::string>())
                                                      : parse_augmentation(augmentation->dump());
      reader.json.erase("augmentation");
    }
    reader.finish("recipe");
    check(recipe);
    return recipe;
  } catch (const Json::exception& error) {
    throw FileError("no recipe: " + std::string(error.what()));
  } catch (const UsageError& error) {
    throw FileError(error.what());
  }
}

}  // namespace pila
