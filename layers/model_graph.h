// A classification network as a graph, for plans and exporters.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/plan/graph.h"
#include "layers/model.h"
#include "layers/preprocessing.h"

namespace pila {

// What a graph of a network reads.
enum class GraphInput {
  pixels,  // uint8 [batch, height, width, 3], stretched to the input's size
  images   // preprocessed, of the model's type
};

// What a graph of a network gives: the backbone's features, averaged over each image, [batch, channels]; and
// logits [batch, classes], which without a head are the features.
constexpr std::size_t kFeaturesOutput = 0, kLogitsOutput = 1;

// Throws ShapeError when the preprocessing makes images of another size than the network takes.
Graph trace_model(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
                  std::int64_t batch, GraphInput input);

}  // namespace pila
