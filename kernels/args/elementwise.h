// Element by element: activations, sums and products, dropout, casts.
#pragma once

#include "kernels/args/types.h"

namespace pila::kernels {

// y = activation(x); y may be x.
struct ActivationForward {
  DType type = DType::f32;
  Activation kind = Activation::relu;
  std::int64_t count = 0;
  const void* x = nullptr;
  void* y = nullptr;
};

// dx = dy * slope. `value` is what the forward pass kept: its input for silu, its output for all others.
// dx may be dy.
struct ActivationBackward {
  DType type = DType::f32;
  Activation kind = Activation::relu;
  std::int64_t count = 0;
  const void* value = nullptr;
  const void* dy = nullptr;
  void* dx = nullptr;
};

enum class BinaryKind : std::uint8_t { add, subtract, multiply };

constexpr int kMaxRank = 6;

// y = a (kind) b with broadcasting: strides are in elements, 0 along an axis that is repeated. y is dense,
// and may be an operand of y's shape.
struct Binary {
  DType type = DType::f32;
  BinaryKind kind = BinaryKind::add;
  int rank = 0;
  std::int64_t shape[kMaxRank] = {};
  std::int64_t a_strides[kMaxRank] = {};
  std::int64_t b_strides[kMaxRank] = {};
  const void* a = nullptr;
  const void* b = nullptr;
  void* y = nullptr;
};

// y = x * factor + offset. y may be x.
struct Affine {
  DType type = DType::f32;
  std::int64_t count = 0;
  double factor = 1, offset = 0;
  const void* x = nullptr;
  void* y = nullptr;
};

// Inverted dropout: y = x * factor where kept, else 0; the factor is 1 / (1 - rate) rounded to `type`.
// Elements [g * group, (g + 1) * group) share one draw: group 1 is elementwise, a whole sample's size drops
// samples. Group g has draw d = first + g: uniform() of word d % 4 of random_block(seed, *step, place, d / 4)
// in kernels/random.h, and is kept when that is >= rate. Applied to dy with the same key it is its own
// gradient. y may be x.
struct Dropout {
  DType type = DType::f32;
  std::int64_t count = 0;
  std::int64_t group = 1;
  double rate = 0;
  std::uint64_t seed = 0;
  std::uint32_t place = 0;
  const std::int64_t* step = nullptr;  // device pointer to one number
  const void* x = nullptr;
  void* y = nullptr;
  std::int64_t first = 0;
};

// y = x in another type. To integers: rounded to nearest even, saturated; NaN becomes 0.
struct Cast {
  DType from = DType::f32, to = DType::f32;
  std::int64_t count = 0;
  const void* x = nullptr;
  void* y = nullptr;
};

// y[i] = value.
struct Fill {
  DType type = DType::f32;
  std::int64_t count = 0;
  double value = 0;
  void* y = nullptr;
};

}  // namespace pila::kernels
