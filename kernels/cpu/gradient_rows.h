// The gradient behind an activation, some rows at a time, and the sums of its columns.
#pragma once

#include <cstdint>

#include "kernels/args/types.h"

namespace pila::kernels::cpu {

// g = dc times the slope of the activation whose outputs are c; not for silu. Without an activation g is dc
// and not written.
struct GradientRows {
  Activation activation = Activation::none;
  std::int64_t rows = 0, n = 0;
  const float* c = nullptr;   // [rows, n]; null without an activation
  const float* dc = nullptr;  // [rows, n]
  float* g = nullptr;         // [rows, g_row]: zeros behind n where whole vectors fit
  std::int64_t g_row = 0;
  double* sums = nullptr;  // [n], to which the columns' are added; or null
};

void gradient_rows(const GradientRows& args);

}  // namespace pila::kernels::cpu
