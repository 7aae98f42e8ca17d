// The numbers that a layer is measured on.
#pragma once

#include <vector>

#include "bench/layers/task.h"
#include "engine/core/context.h"
#include "engine/core/tensor.h"

namespace pila::bench {

// One layer's tensors, laid out as our kernels take them. What a direction reads is random; forward writes y,
// the data gradient x, the filter gradient w, from y as the gradient of the output.
struct Operands {
  Tensor x;         // [batch, size, size, channels]
  Tensor w;         // [k, k, in, out], depthwise [k, k, channels], others [in, out]
  Tensor y;         // [batch, size, size, channels]
  Tensor bias;      // float32 [out]
  Tensor residual;  // shaped as y; undefined where there is none
};

struct Problem {
  LayerShape layer;
  Direction direction = Direction::forward;
  std::int64_t batch = 1;
  DType type = DType::f32;
  Padding padding = Padding::keras;
};

// What the direction writes.
const Tensor& output_of(const Operands& operands, Direction direction);

// How many products a number of the direction's output sums.
double terms_of(const Problem& problem);

// Random operands of the parts of a task, each reading the output of the one before it; outputs are of about
// size 1. The same ones from run to run.
std::vector<Operands> random_operands(const Context& ctx, const std::vector<Problem>& parts);

// The same inputs with memory of their own for what the task writes.
std::vector<Operands> with_own_outputs(const Context& ctx, const std::vector<Operands>& operands,
                                       Direction direction);

// The values as float32, and back, rounded to the type.
std::vector<float> values_of(const Context& ctx, const Tensor& tensor);
Tensor tensor_from(const Context& ctx, const Shape& shape, DType type, const std::vector<float>& values);

}  // namespace pila::bench
