#include "engine/ops/support.h"

#include <algorithm>

namespace pila::ops {

void throw_expected(std::string_view op, const std::string& expected, const std::string& got) {
  throw ShapeError("[" + std::string(op) + "] expected " + expected + ", got " + got);
}

void throw_expected(std::string_view op, const std::string& expected, std::span<const TensorSpec> got) {
  std::string text;
  for (const TensorSpec& spec : got) text += (text.empty() ? "" : ", ") + spec.to_string();
  throw_expected(op, expected, text);
}

void throw_no_gradient(std::string_view op, const std::string& of_what) {
  throw UsageError("[" + std::string(op) + "] the gradient " + of_what + " is not available");
}

void check_same_type(std::string_view op, std::span<const TensorSpec> inputs, bool floating) {
  for (const TensorSpec& input : inputs) {
    if (input.type != inputs[0].type || (floating && !is_floating(input.type))) {
      throw_expected(op, floating ? "tensors of one floating-point type" : "tensors of one type", inputs);
    }
  }
}

void check_types_with_biases(std::string_view op, std::span<const TensorSpec> inputs) {
  check_same_type(op, inputs.first(1));
  const DType type = inputs[0].type;
  for (const TensorSpec& input : inputs.subspan(1)) {
    if (input.type != (input.shape.rank() == 1 ? channel_type(type) : type)) {
      throw_expected(op, "tensors of one floating-point type and biases of " + to_string(channel_type(type)),
                     inputs);
    }
  }
}

std::vector<Tensor> with_weights(const Tensor& x, const Tensor& weights, const Tensor& bias,
                                 const Tensor& residual) {
  std::vector<Tensor> inputs = {x, weights};
  if (bias) inputs.push_back(bias);
  if (residual) inputs.push_back(residual);
  return inputs;
}

WindowAxis place_window(std::int64_t extent, std::int64_t window, int stride, int dilation, Padding padding) {
  const std::int64_t reach = (window - 1) * dilation + 1;
  if (padding == Padding::valid) return {extent < reach ? 0 : (extent - reach) / stride + 1, 0};
  const std::int64_t places = (extent + stride - 1) / stride;
  const std::int64_t pad = std::max<std::int64_t>((places - 1) * stride + reach - extent, 0);
  return {places, static_cast<int>(pad / 2)};
}

Tensor bias_gradient(const Context& ctx, const Tensor& dy) {
  return cast(ctx, reduce_sum(ctx, dy, 0, dy.shape().rank() - 2), channel_type(dy.type()));
}

}  // namespace pila::ops
