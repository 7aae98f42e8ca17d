// The networks that Pila knows, by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "layers/initializer.h"
#include "layers/model.h"

namespace pila {

std::vector<std::string> known_networks();

// The backbone of spec.network. Throws ShapeError for an unknown name, listing the known ones, and for an
// input below 32 x 32 or above 16384 x 16384.
std::unique_ptr<Backbone> make_backbone(Initializer& init, const ModelSpec& spec);

}  // namespace pila
