// The operations behind augmentation, whose random numbers are drawn by the caller.
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/context.h"
#include "engine/core/tensor.h"
#include "kernels/args/augment.h"

namespace pila {

using kernels::AugmentPicture;
using kernels::FillMode;

}  // namespace pila

namespace pila::ops {

struct AugmentOptions {
  std::int64_t height = 0, width = 0;  // of the output
  FillMode fill = FillMode::reflect;
  float dropout = 0;  // of single elements, in [0, 1)
  float scale[3] = {1, 1, 1};
  float offset[3] = {};
};

// uint8 [n, h, w, 3] to [n, height, width, 3] of `type`: each picture warped, coloured and scaled as
// kernels/args/augment.h says, `pictures` holding what is done to each. Not differentiable. Throws ShapeError
// when the inputs do not fit.
Tensor augment(const Context& ctx, const Tensor& images, std::span<const AugmentPicture> pictures,
               const AugmentOptions& options, DType type = DType::f32);

// y[i] = weight * x[i] + (1 - weight) * x[n - 1 - i] along the first axis: each sample mixed with its
// counterpart from the batch's other end. Throws ShapeError for a weight outside of [0, 1].
Tensor mix_with_reversed(const Context& ctx, const Tensor& x, double weight);

}  // namespace pila::ops
