#include "apps/core/precision.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "engine/core/error.h"

namespace pila {

const std::map<std::string, Precision>& precision_names() {
  static const std::map<std::string, Precision> names = [] {
    std::map<std::string, Precision> all{
        {"fp32", Precision::f32}, {"fp16", Precision::f16}, {"bf16", Precision::bf16}};
    for (const Precision known :
         {Precision::f32, Precision::tf32, Precision::f16, Precision::bf16, Precision::i8}) {
      all[to_string(known)] = known;
    }
    return all;
  }();
  return names;
}

void add_precision_option(CLI::App& app, std::optional<Precision>& precision) {
  app.add_option_function<std::string>(
         "--precision", [&precision](const std::string& name) { precision = precision_names().at(name); },
         "how the network is computed: on a GPU all of it in float32, bfloat16 or float16 (its default), or "
         "in "
         "float32 with products in tf32; on a processor its products in bfloat16, where it multiplies that, "
         "or in int8 (the default of models "
         "of pila-export --precision int8)")
      ->check(CLI::IsMember(precision_names()))
      ->type_name("float32|tf32|float16|bfloat16|int8");
}

void add_training_precision_option(CLI::App& app, Precision& precision) {
  std::map<std::string, Precision> names = precision_names();
  names.erase(to_string(Precision::i8));
  app.add_option_function<std::string>(
         "--precision", [&precision](const std::string& name) { precision = precision_names().at(name); },
         "what is trained in: on a GPU also products in tf32, or all that passes between layers in bfloat16 "
         "or float16, with weights in float32")
      ->check(CLI::IsMember(names))
      ->default_str(to_string(precision))
      ->type_name("float32|tf32|bfloat16|float16");
}

PlanOptions plan_options(const Device& device, const ModelDescription& model,
                         std::optional<Precision> precision) {
  if (precision == Precision::i8 && model.ranges.empty()) {
    throw UsageError(
        "--precision int8: a model that was calibrated for it is expected; pila-export --model MODEL "
        "--precision int8 --calibrate PICTURES --out FILE makes one");
  }
  PlanOptions options;
  const Precision by_default = device.kernels().stores_16_bits ? Precision::f16
                               : model.ranges.empty()          ? Precision::f32
                                                               : Precision::i8;
  options.precision = precision.value_or(by_default);
  if (options.precision == Precision::i8) options.ranges = model.ranges;
  return options;
}

}  // namespace pila
