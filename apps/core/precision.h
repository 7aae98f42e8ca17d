// How precisely a network's products are computed, as an option of commands.
#pragma once

#include "engine/core/dtype.h"

namespace CLI {
class App;
}

namespace pila {

// Adds --precision float32|bfloat16, which sets `precision`.
void add_precision_option(CLI::App& app, Precision& precision);

}  // namespace pila
