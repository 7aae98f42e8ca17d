#include "apps/training/options.h"

#include <nlohmann/json.hpp>

#include "apps/core/precision.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using Json = nlohmann::json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

template <class T>
std::optional<T> optional_of(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional<T>(json.get<T>());
}

Precision precision_named(const std::string& name) {
  const auto found = precision_names().find(name);
  if (found == precision_names().end()) throw FileError("its options name no precision: " + name);
  return found->second;
}

}  // namespace

void check(const FineTuneOptions& options) {
  const auto expect = [](bool good, const std::string& what) {
    if (!good) throw UsageError("expected " + what);
  };
  expect(options.validation >= 0 && options.test >= 0 && options.validation + options.test < 1,
         "shares for --validation and --test that leave something to train on");
  expect(!options.store_verdicts || (*options.store_verdicts >= 0 && *options.store_verdicts <= 1),
         "a probability for --store-verdicts");
  expect(!options.folds || *options.folds >= 1, "--folds of 1 or more");
  expect(!options.width || *options.width > 0, "a --width above 0");
  expect(options.gradcam >= 0, "a number of pictures for --gradcam");
  check(options.recipe);
}

std::string format_options(const FineTuneOptions& options) {
  return Json{
      {"data", std::vector<std::string>(options.data.begin(), options.data.end())},
      {"store_verdicts", or_null(options.store_verdicts)},
      {"exclude", options.exclude},
      {"validation", options.validation},
      {"test", options.test},
      {"folds", or_null(options.folds)},
      {"group_by", options.group_by},
      {"group_duplicates", options.group_duplicates},
      {"refit", or_null(options.refit)},
      {"network", options.network},
      {"weights", options.weights},
      {"width", or_null(options.width)},
      {"size", or_null(options.size)},
      {"recipe", Json::parse(format_recipe(options.recipe))},
      {"precision", to_string(options.precision)},
      {"seed", options.seed},
      {"split_seed", options.split_seed()},
      {"gradcam", options.gradcam},
  }
      .dump(2);
}

FineTuneOptions parse_options(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    FineTuneOptions options;
    // A single path, and no stores, before there were several.
    const Json& data = json.at("data");
    const auto paths =
        data.is_string() ? std::vector{data.get<std::string>()} : data.get<std::vector<std::string>>();
    options.data.assign(paths.begin(), paths.end());
    options.store_verdicts = optional_of<double>(json.value("store_verdicts", Json()));
    json.at("exclude").get_to(options.exclude);
    json.at("validation").get_to(options.validation);
    json.at("test").get_to(options.test);
    options.folds = optional_of<int>(json.at("folds"));
    json.at("group_by").get_to(options.group_by);
    json.at("group_duplicates").get_to(options.group_duplicates);
    options.refit = optional_of<bool>(json.at("refit"));
    json.at("network").get_to(options.network);
    json.at("weights").get_to(options.weights);
    options.width = optional_of<double>(json.at("width"));
    options.size = optional_of<std::int64_t>(json.at("size"));
    options.recipe = parse_recipe(json.at("recipe").dump());
    options.precision = precision_named(json.value("precision", to_string(Precision::f32)));
    json.at("seed").get_to(options.seed);
    options.split_from = json.at("split_seed").get<std::uint64_t>();
    json.at("gradcam").get_to(options.gradcam);
    return options;
  } catch (const Json::exception& error) {
    throw FileError("its options are damaged: " + std::string(error.what()));
  }
}

}  // namespace pila
