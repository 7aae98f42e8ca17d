// Pila's own description of a model, which its files carry beside the weights.
#pragma once

#include <string>

#include "weights/networks.h"

namespace pila {

// JSON on one line: {"format": 1, "network": "mobilenet_v2", "width": 0.35, "input": [224, 224], "head":
// [...], "preprocessing": {"scale": [...], "offset": [...]}, "classes": [...], "temperature": 1.3,
// "threshold": 0.5, "unknown": {"kind": ..., "threshold": ..., "parameters": {...}}, "int8": {"ranges":
// {"block_1_expand": [-4.5, 5.25], ...}}, "recipe": {...}, "data_hash": ..., "program": ...}. The
// description's arrays are not in it. Throws UsageError for what parse_card() would refuse.
std::string format_card(const ModelDescription& model);

// The inverse; without arrays. Keys behind "classes" may be absent, unknown ones are ignored. Throws
// FileError, without a file's name, for anything else, and for a format above 1.
ModelDescription parse_card(const std::string& text);

}  // namespace pila
