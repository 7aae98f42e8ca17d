// How precisely a network's products are computed, as an option of commands.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "engine/plan/plan.h"
#include "weights/networks.h"

namespace CLI {
class App;
}

namespace pila {

// What precisions may be called: as to_string() does, or fp32, fp16 and bf16 for short.
const std::map<std::string, Precision>& precision_names();

// Adds --precision float32|tf32|float16|bfloat16|int8, which sets `precision`; none: the device and the model
// decide.
void add_precision_option(CLI::App& app, std::optional<Precision>& precision);

// Adds --precision float32|tf32|bfloat16|float16 for training; as it is, where it is not given.
void add_training_precision_option(CLI::App& app, Precision& precision);

// How the model's plans are built on a device: in the precision asked for, else in float16 where the device
// stores it, else in int8 where the model has ranges, else in float32. Throws UsageError for int8 of a model
// without ranges.
PlanOptions plan_options(const Device& device, const ModelDescription& model,
                         std::optional<Precision> precision);

}  // namespace pila
