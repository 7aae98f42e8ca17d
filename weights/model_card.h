// Pila's own description of a model, which its files carry beside the weights.
#pragma once

#include <string>

#include "weights/networks.h"

namespace pila {

// JSON on one line: {"format": 1, "network": "mobilenet_v2", "width": 0.35, "input": [224, 224], "head":
// [...], "preprocessing": {"scale": [...], "offset": [...]}, "classes": [...]}.
std::string format_card(const ModelDescription& model);

// The inverse. Throws FileError, without a file's name, for anything else; unknown keys are ignored.
ModelDescription parse_card(const std::string& text);

}  // namespace pila
