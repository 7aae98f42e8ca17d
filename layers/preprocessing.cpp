#include "layers/preprocessing.h"

#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace pila {
namespace {

bool all_equal(const std::array<float, 3>& values) {
  return values[0] == values[1] && values[1] == values[2];
}

Tensor per_channel(const Context& ctx, const std::array<float, 3>& values, DType type) {
  return ops::cast(ctx, Tensor::from(ctx, {3}, std::span<const float>(values)), type);
}

}  // namespace

Tensor preprocess(const Context& ctx, const Tensor& images, const Preprocessing& preprocessing, DType type) {
  const auto& [height, width, scale, offset] = preprocessing;
  const Shape& shape = images.shape();
  if (images.type() != DType::u8 || shape.rank() != 4 || shape[3] != 3) {
    throw ShapeError("[preprocess] expected images uint8[n, h, w, 3], got " + images.spec().to_string());
  }
  if (shape[1] == height && shape[2] == width) {
    return ops::image_to_float(ctx, images, scale, offset, type);
  }
  const Tensor resized = ops::resize_bilinear(ctx, images, height, width, type);
  if (all_equal(scale) && all_equal(offset)) return ops::affine(ctx, resized, scale[0], offset[0]);
  const Tensor scaled = ops::multiply(ctx, resized, per_channel(ctx, scale, type));
  return ops::add(ctx, scaled, per_channel(ctx, offset, type));
}

}  // namespace pila
