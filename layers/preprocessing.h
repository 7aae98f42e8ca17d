// From pixels to a network's input: the one function that training and inference share.
#pragma once

#include <array>
#include <cstdint>

#include "engine/core/context.h"
#include "engine/core/tensor.h"

namespace pila {

// Bilinear stretch to height x width without smoothing (Keras' default), then pixel * scale + offset.
struct Preprocessing {
  std::int64_t height = 224, width = 224;
  std::array<float, 3> scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f};
  std::array<float, 3> offset = {-1, -1, -1};
  bool operator==(const Preprocessing&) const = default;
};

// images: uint8 [n, h, w, 3], RGB. Returns [n, height, width, 3] of `type`.
Tensor preprocess(const Context& ctx, const Tensor& images, const Preprocessing& preprocessing,
                  DType type = DType::f32);

}  // namespace pila
