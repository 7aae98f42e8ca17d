// From the graph of a network to an ONNX file.
#pragma once

#include <cstdint>
#include <string>

#include "engine/core/context.h"
#include "engine/plan/graph.h"
#include "weights/networks.h"

namespace pila {

// The bytes of an ONNX model (opset 17) of a graph that has images float32 [n, height, width, 3] as its one
// input and logits [n, classes] as its one output. The model's input "input" is the same; its outputs are
// "logits" and "probabilities", the softmax of logits over the description's temperature. With batch 0 it
// takes any number of images, whatever n was when the graph was traced; otherwise so many. Its metadata hold
// classes, preprocessing, input size, temperature and threshold, in JSON. Throws UsageError that names an
// operation, and the layer where it stands, which has no translation.
std::string to_onnx(const Context& ctx, const Graph& graph, const ModelDescription& description,
                    std::int64_t batch = 0);

}  // namespace pila
