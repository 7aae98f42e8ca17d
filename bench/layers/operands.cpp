#include "bench/layers/operands.h"

#include <algorithm>
#include <cmath>

#include "engine/core/random.h"
#include "kernels/args/half.h"

namespace pila::bench {
namespace {

std::vector<float> random_values(Random& random, std::int64_t count, double largest) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(largest) * (2 * random.uniform() - 1);
  return values;
}

Shape weight_shape(const LayerShape& layer) {
  switch (layer.kind) {
    case LayerKind::convolution:
      return {layer.kernel, layer.kernel, layer.in_channels, layer.out_channels};
    case LayerKind::depthwise:
      return {layer.kernel, layer.kernel, layer.in_channels};
    case LayerKind::pointwise:
    case LayerKind::dense:
      break;
  }
  return {layer.in_channels, layer.out_channels};
}

}  // namespace

const Tensor& output_of(const Operands& operands, Direction direction) {
  switch (direction) {
    case Direction::data_gradient:
      return operands.x;
    case Direction::filter_gradient:
      return operands.w;
    case Direction::forward:
      break;
  }
  return operands.y;
}

double terms_of(const Problem& problem) {
  const LayerShape& layer = problem.layer;
  const double taps = static_cast<double>(layer.kernel) * layer.kernel;
  if (problem.direction == Direction::filter_gradient) {
    return static_cast<double>(problem.batch * layer.out_size * layer.out_size);
  }
  if (layer.kind == LayerKind::depthwise) return taps;
  const bool forward = problem.direction == Direction::forward;
  return taps * static_cast<double>(forward ? layer.in_channels : layer.out_channels);
}

std::vector<Operands> random_operands(const Context& ctx, const std::vector<Problem>& parts) {
  Random random(1);
  std::vector<Operands> all;
  for (const Problem& part : parts) {
    const LayerShape& layer = part.layer;
    const auto tensor = [&](const Shape& shape, DType type, double largest) {
      return tensor_from(ctx, shape, type, random_values(random, shape.elements(), largest));
    };
    Operands operands;
    operands.x = all.empty()
                     ? tensor({part.batch, layer.in_size, layer.in_size, layer.in_channels}, part.type, 1)
                     : all.back().y;
    operands.w = tensor(weight_shape(layer), part.type, 3 / std::sqrt(terms_of(part)));
    operands.y = tensor({part.batch, layer.out_size, layer.out_size, layer.out_channels}, part.type, 1);
    operands.bias = tensor({layer.out_channels}, kernels::channel_type(part.type), 1);
    if (layer.residual && part.direction == Direction::forward) {
      operands.residual = all.empty() ? tensor(operands.y.shape(), part.type, 1) : all.front().x;
    }
    all.push_back(std::move(operands));
  }
  return all;
}

std::vector<Operands> with_own_outputs(const Context& ctx, const std::vector<Operands>& operands,
                                       Direction direction) {
  std::vector<Operands> own = operands;
  const auto renew = [&](Tensor& tensor) { tensor = Tensor::zeros(ctx, tensor.spec()); };
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (direction == Direction::data_gradient) renew(own[i].x);
    if (direction == Direction::filter_gradient) renew(own[i].w);
    if (direction == Direction::forward) renew(own[i].y);
    if (i > 0) own[i].x = own[i - 1].y;
  }
  return own;
}

std::vector<float> values_of(const Context& ctx, const Tensor& tensor) {
  const auto widened = [](const auto& values) {
    std::vector<float> wide(values.size());
    std::ranges::transform(values, wide.begin(), [](auto value) { return kernels::to_float(value); });
    return wide;
  };
  if (tensor.type() == DType::f16) return widened(tensor.to_vector<kernels::Float16>(ctx));
  if (tensor.type() == DType::bf16) return widened(tensor.to_vector<kernels::BFloat16>(ctx));
  return tensor.to_vector<float>(ctx);
}

Tensor tensor_from(const Context& ctx, const Shape& shape, DType type, const std::vector<float>& values) {
  if (type == DType::f16) {
    std::vector<kernels::Float16> narrow(values.size());
    std::ranges::transform(values, narrow.begin(), kernels::to_float16);
    return Tensor::from(ctx, shape, narrow);
  }
  if (type == DType::bf16) {
    std::vector<kernels::BFloat16> narrow(values.size());
    std::ranges::transform(values, narrow.begin(), kernels::to_bfloat16);
    return Tensor::from(ctx, shape, narrow);
  }
  return Tensor::from(ctx, shape, values);
}

}  // namespace pila::bench
