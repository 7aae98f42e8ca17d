// Augmentation as commands take it: by the name of a preset, or from a JSON file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "layers/augmentation.h"

namespace pila {

// "none", "battery", "ewaste", "best".
std::vector<std::string> augmentation_presets();
// Throws UsageError for another name, listing those there are.
Augmentation augmentation_preset(std::string_view name);

// A JSON object whose keys are Augmentation's members: {"flip_horizontal": true, "rotation": 0.05, "zoom":
// [-0.1, 0.1], "fill": "reflect", ...}. What is left out stays off; a range may be one number, for both ways.
// "preset" takes a preset as the start. Throws FileError, without a file's name, for anything else, naming
// the key and what was expected.
Augmentation parse_augmentation(std::string_view text);
// The inverse: every member, on one line.
std::string format_augmentation(const Augmentation& augmentation);

// A preset by its name, else the JSON file of that name. Throws UsageError where there is neither, FileError
// for a file that cannot be used.
Augmentation load_augmentation(const std::string& name_or_file);

}  // namespace pila
