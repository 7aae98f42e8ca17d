// Where a network looks: class activation maps (Selvaraju et al., 2017).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/tensor.h"
#include "layers/model.h"

namespace pila {

// How much each place speaks for a class, from 0 to 1: the largest is 1 unless all are 0.
struct HeatMap {
  std::int64_t height = 0, width = 0;
  std::vector<float> values;  // [height, width]
};

// Images [n, height, width, 3], preprocessed, and a class for each. `layer` is a name that Observer reports
// (empty: the backbone's last one). The gradient of the class's logit, averaged over space, weighs the
// layer's channels. Throws UsageError for an unknown layer, ShapeError for classes that do not fit.
std::vector<HeatMap> grad_cam(const Context& ctx, const Model& model, const Tensor& images,
                              std::span<const std::int32_t> classes, const std::string& layer = {});

// The same for the backbone's last layer without a backward pass, where the head is pooling and one Dense
// layer: its kernel is the gradient. Throws UsageError for other heads.
std::vector<HeatMap> pooled_class_map(const Context& ctx, const Model& model, const Tensor& images,
                                      std::span<const std::int32_t> classes);
bool has_pooled_class_map(const Model& model);

}  // namespace pila
