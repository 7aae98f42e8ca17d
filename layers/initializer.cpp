#include "layers/initializer.h"

#include <cmath>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/random.h"

namespace pila {
namespace {

// Training steps count from 0: no dropout shares its draws with a weight.
constexpr std::int64_t kBeforeTraining = -1;

template <class T>
Tensor uniform(const Context& ctx, const Shape& shape, double limit, Random random) {
  std::vector<T> values(static_cast<std::size_t>(shape.elements()));
  for (T& value : values) value = static_cast<T>((2.0 * random.uniform() - 1.0) * limit);
  return Tensor::from(ctx, shape, values);
}

}  // namespace

Initializer::Initializer(const Context& ctx, DType type, std::uint64_t seed)
    : ctx_(ctx), type_(type), seed_(seed) {
  if (type != DType::f32 && type != DType::f64) {
    throw ShapeError("[model] expected weights of float32 or float64, got " + to_string(type));
  }
}

Tensor Initializer::glorot_uniform(const Shape& shape) {
  const std::int64_t in = shape[-2], out = shape[-1];
  const std::int64_t receptive_field = in * out == 0 ? 0 : shape.elements() / (in * out);
  const double limit = std::sqrt(6.0 / static_cast<double>((in + out) * receptive_field));
  const Random random(seed_, kBeforeTraining, place_++);
  return type_ == DType::f64 ? uniform<double>(ctx_, shape, limit, random)
                             : uniform<float>(ctx_, shape, limit, random);
}

Tensor Initializer::zeros(const Shape& shape) const { return Tensor::zeros(ctx_, {shape, type_}); }

Tensor Initializer::ones(const Shape& shape) const { return Tensor::full(ctx_, {shape, type_}, 1); }

}  // namespace pila
