// What is measured: a layer of a network in one direction, or a block of layers forward.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/shapes/mobilenet_v2.h"
#include "kernels/args/conv.h"

namespace pila::bench {

enum class Direction { forward, data_gradient, filter_gradient };

std::string name_of(Direction direction);

// Keras pads at the bottom and right alone where a stride of 2 meets an even size; symmetric padding takes as
// many steps, shifted by a pixel.
enum class Padding { keras, symmetric };

// One layer, or the layers of an inverted residual, each of which reads what the one before it wrote.
struct Task {
  std::string name;  // of the first layer or block of this shape: "b4.dw", "b4"
  std::vector<LayerShape> parts;
  Direction direction = Direction::forward;
  int count = 1;  // layers or blocks of this shape in the network

  bool is_block() const { return parts.size() > 1; }
};

// Distinct layers in the network's order, then, forward, distinct blocks. A block's layers have its name up
// to the point.
std::vector<Task> tasks_of(const std::vector<LayerShape>& network, Direction direction);

// What a task has to do at least.
struct Work {
  double flops = 0;  // multiplications and additions
  double bytes = 0;  // operands read or written once; what passes between a block's layers is not
};

Work work_of(const Task& task, std::int64_t batch, kernels::DType type);

kernels::ConvShape conv_shape(const LayerShape& layer, std::int64_t batch, Padding padding);

// "56x56x24 to 56x56x144", and the stride where there is one.
std::string shape_text(const Task& task);

}  // namespace pila::bench
