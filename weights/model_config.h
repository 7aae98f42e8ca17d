// Keras' description of a whole model.
#pragma once

#include "weights/networks.h"
#include "weights/weight_file.h"

namespace pila {

// Describes the model in file.model_config: Sequential and Functional models, nested to any depth, that are a
// known network with scaling, resizing and augmentation (which does nothing here) before it and
// GlobalAveragePooling2D, Dropout and Dense layers behind it. Throws FileError, the file's name first, for
// anything else, naming the layer.
ModelDescription describe_by_config(const WeightFile& file);

}  // namespace pila
