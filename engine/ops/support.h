// What the operations' own files share.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/launch.h"
#include "engine/ops/op.h"
#include "engine/ops/ops.h"

namespace pila::ops {

// "[op] expected ..., got ..."
[[noreturn]] void throw_expected(std::string_view op, const std::string& expected, const std::string& got);
[[noreturn]] void throw_expected(std::string_view op, const std::string& expected,
                                 std::span<const TensorSpec> got);
// For gradients that exist but are not written.
[[noreturn]] void throw_no_gradient(std::string_view op, const std::string& of_what);

// Throws ShapeError unless all inputs have the first one's type, and a floating-point one if asked.
void check_same_type(std::string_view op, std::span<const TensorSpec> inputs, bool floating = true);

// The same for operations with weights: of rank 1 behind the first input are biases, of channel_type().
void check_types_with_biases(std::string_view op, std::span<const TensorSpec> inputs);

// Applies a new Operation(attributes...).
template <class Operation, class... Attributes>
std::vector<Tensor> apply_new(const Context& ctx, std::initializer_list<Tensor> inputs,
                              Attributes&&... attributes) {
  return apply(ctx, std::make_shared<const Operation>(std::forward<Attributes>(attributes)...),
               {inputs.begin(), inputs.size()});
}

// The same for operations with one output.
template <class Operation, class... Attributes>
Tensor apply_to_one(const Context& ctx, std::initializer_list<Tensor> inputs, Attributes&&... attributes) {
  return std::move(apply_new<Operation>(ctx, inputs, std::forward<Attributes>(attributes)...)[0]);
}

// A window along one axis of an image: how many places it has (none when the image is too small), and how
// many zeros precede the image.
struct WindowAxis {
  std::int64_t places = 0;
  int pad = 0;
};
WindowAxis place_window(std::int64_t extent, std::int64_t window, int stride, int dilation, Padding padding);

// The gradient of a depthwise convolution's image.
Tensor depthwise_image_gradient(const Context& ctx, const kernels::ConvShape& shape, const Tensor& dy,
                                const Tensor& kernel);

// What a depthwise convolution of x does; throws ShapeError where they do not fit.
kernels::ConvShape depthwise_shape(const TensorSpec& x, const TensorSpec& kernel, const ConvOptions& options);

// Sums over the axes that broadcasting `shape` to `gradient`'s shape repeated.
Tensor reduce_to(const Context& ctx, const Tensor& gradient, const Shape& shape);

// The gradient through an activation whose output (input for silu) is `value`; dy itself for `none`.
Tensor activation_gradient(const Context& ctx, Activation kind, const Tensor& value, const Tensor& dy);

// Whether an operation that applies `kind` as its last step can find its way back from its output alone.
constexpr bool gradient_from_output(Activation kind) { return kind != Activation::silu; }

// Behind an activation the output with a residual no longer tells the way back.
template <class Attributes>
void check_gradient_with_residual(std::string_view op, const Attributes& attributes) {
  if (attributes.residual && attributes.activation != Activation::none) {
    throw_no_gradient(op, "of an activation with a residual behind it");
  }
}

// What a product of x's numbers rounds its factors to.
inline Precision rounding_of(const Context& ctx, const Tensor& x) {
  return x.type() == DType::f32 ? ctx.products() : Precision::f32;
}

// activation(op(a) op(b) + bias) + residual with all axes but the last of a and b folded into rows; the
// result has `shape`. bias and residual may be undefined. Checks nothing but that the products fit.
Tensor folded_matmul(const Context& ctx, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b,
                     const Tensor& bias, Activation activation, const Shape& shape,
                     const Tensor& residual = {});

// The inputs of an operation with weights: what is undefined is left out.
std::vector<Tensor> with_weights(const Tensor& x, const Tensor& weights, const Tensor& bias,
                                 const Tensor& residual);

// dy without all axes but the last: a bias' gradient.
Tensor bias_gradient(const Context& ctx, const Tensor& dy);

}  // namespace pila::ops
