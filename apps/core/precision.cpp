#include "apps/core/precision.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "engine/core/error.h"

namespace pila {

void add_precision_option(CLI::App& app, std::optional<Precision>& precision) {
  std::map<std::string, Precision> names;
  for (const Precision known : {Precision::f32, Precision::bf16, Precision::i8}) {
    names[to_string(known)] = known;
  }
  app.add_option_function<std::string>(
         "--precision", [&precision, names](const std::string& name) { precision = names.at(name); },
         "what the factors of the network's products are rounded to: bfloat16 is for processors that "
         "multiply "
         "it, int8 for models of pila-export --precision int8, and their default")
      ->check(CLI::IsMember(names))
      ->type_name("float32|bfloat16|int8");
}

PlanOptions plan_options(const ModelDescription& model, std::optional<Precision> precision) {
  if (precision == Precision::i8 && model.ranges.empty()) {
    throw UsageError(
        "--precision int8: a model that was calibrated for it is expected; pila-export --model MODEL "
        "--precision int8 --calibrate PICTURES --out FILE makes one");
  }
  PlanOptions options;
  options.precision = precision.value_or(model.ranges.empty() ? Precision::f32 : Precision::i8);
  if (options.precision == Precision::i8) options.ranges = model.ranges;
  return options;
}

}  // namespace pila
