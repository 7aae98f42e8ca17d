// Ranges for networks that have none of their own.
#pragma once

#include "engine/plan/calibration.h"
#include "layers/model_graph.h"

namespace pila::bench {

// Of these images, with nothing cut off: what the network's speed in int8 is measured with.
inline Ranges calibrate(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
                        const Tensor& images) {
  const std::int64_t count = images.shape()[0];
  Calibration calibration(ctx, trace_model(ctx, model, preprocessing, count, GraphInput::images));
  calibration.add(images);
  return calibration.ranges(Clipping::min_max);
}

}  // namespace pila::bench
