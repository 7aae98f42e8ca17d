// What optimizers ask of the tensors that they are given.
#pragma once

#include <span>
#include <string_view>

#include "engine/core/tensor.h"

namespace pila {

// Throws ShapeError unless all are float32 or all float64, UsageError for one that comes twice.
void check_parameters(std::string_view op, std::span<const Tensor> parameters);

}  // namespace pila
