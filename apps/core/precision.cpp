#include "apps/core/precision.h"

#include <CLI/CLI.hpp>
#include <string>

namespace pila {

void add_precision_option(CLI::App& app, Precision& precision) {
  app.add_option_function<std::string>(
         "--precision",
         [&precision](const std::string& name) {
           precision = name == to_string(Precision::bf16) ? Precision::bf16 : Precision::f32;
         },
         "what the factors of the network's products are rounded to; bfloat16 is faster, where the processor "
         "has it")
      ->check(CLI::IsMember({to_string(Precision::f32), to_string(Precision::bf16)}))
      ->default_str(to_string(precision))
      ->type_name("float32|bfloat16");
}

}  // namespace pila
