// What an operation is beyond its inputs, for those who look at graphs of operations: passes, exporters.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>

#include "engine/core/dtype.h"
#include "engine/core/shape.h"
#include "kernels/args/conv.h"
#include "kernels/args/elementwise.h"
#include "kernels/args/image.h"
#include "kernels/args/pool.h"
#include "kernels/args/precision.h"
#include "kernels/args/reduce.h"

namespace pila {

class Context;
class Op;
struct TensorSpec;

// Each operation's inputs stand in the order given here; those in brackets are there where the attributes say
// so. A residual is added behind the activation; where gradients are asked for there is but one of the two.
namespace ops {

// x, kernel (HWIO, depthwise HWCM), [bias], [residual].
struct ConvAttributes {
  bool depthwise = false;
  kernels::ConvShape shape;
  kernels::Activation activation = kernels::Activation::none;
  bool bias = false, residual = false;
  kernels::Precision rounding = kernels::Precision::f32;  // of those that are not depthwise
};

// Pixels uint8 [n, h, w, c], kernel HWIO, [bias]: a convolution of pixel * scale + offset.
struct ImageConvAttributes {
  kernels::ConvShape shape;
  std::array<float, kernels::kMaxImageChannels> scale{}, offset{};
  kernels::Activation activation = kernels::Activation::none;
  bool bias = false;
  kernels::Precision rounding = kernels::Precision::f32;
};

// a, b, [bias], [residual]; all axes of a and b but the last are rows.
struct MatmulAttributes {
  Shape a, b, y;
  bool transpose_a = false, transpose_b = false;
  kernels::Activation activation = kernels::Activation::none;
  bool bias = false, residual = false;
  kernels::Rounding rounding = {};
};

// x [n, ..., k], b (the last two axes are [k, columns]), [bias]: the mean of activation(x b + bias) over all
// axes of x between the first and the last.
struct PooledMatmulAttributes {
  kernels::Activation activation = kernels::Activation::none;
  bool bias = false;
  kernels::Rounding rounding = {};
};

// x, [expand kernel, [bias]], depthwise kernel, [bias], [project kernel, [bias]], [residual].
struct InvertedResidualAttributes {
  struct Step {
    bool present = false, bias = false;
    kernels::Activation activation = kernels::Activation::none;
    kernels::Rounding rounding = {};
  };
  kernels::ConvShape shape;  // of the depthwise convolution
  Step expand, depthwise, project;
  bool residual = false;
};

// x, gamma, beta, mean, variance.
struct BatchNormAttributes {
  double epsilon = 1e-3;
  kernels::Activation activation = kernels::Activation::none;
  bool operator==(const BatchNormAttributes&) const = default;
};

struct ActivationAttributes {  // x
  kernels::Activation kind = kernels::Activation::none;
  bool operator==(const ActivationAttributes&) const = default;
};

struct BinaryAttributes {  // a, b
  kernels::BinaryKind kind = kernels::BinaryKind::add;
  Shape a, b;
  bool operator==(const BinaryAttributes&) const = default;
};

struct CastAttributes {  // x
  DType from = DType::f32, to = DType::f32;
  bool operator==(const CastAttributes&) const = default;
};

struct AffineAttributes {  // x
  double factor = 1, offset = 0;
  bool operator==(const AffineAttributes&) const = default;
};

struct ZeroPadAttributes {  // x
  kernels::Borders borders;
};

struct MaxPoolAttributes {  // x
  kernels::ConvShape shape;
};

// x, as [outer, middle, inner], becomes [outer, inner].
struct ReduceAttributes {
  kernels::ReduceKind kind = kernels::ReduceKind::sum;
  std::int64_t outer = 1, middle = 1, inner = 1;
  Shape from, to;
  bool operator==(const ReduceAttributes&) const = default;
};

struct ReshapeAttributes {  // x
  Shape to;
  bool operator==(const ReshapeAttributes&) const = default;
};

struct SoftmaxAttributes {  // x
  bool operator==(const SoftmaxAttributes&) const = default;
};

struct ImageToFloatAttributes {  // pixels uint8 [..., channels]
  int channels = 3;
  std::array<float, kernels::kMaxImageChannels> scale{}, offset{};
  DType type = DType::f32;
};

// Operations that no graph is searched for have none.
using Attributes = std::variant<std::monostate, ConvAttributes, ImageConvAttributes, MatmulAttributes,
                                PooledMatmulAttributes, InvertedResidualAttributes, BatchNormAttributes,
                                ActivationAttributes, BinaryAttributes, CastAttributes, AffineAttributes,
                                ZeroPadAttributes, MaxPoolAttributes, ReduceAttributes, ReshapeAttributes,
                                SoftmaxAttributes, ImageToFloatAttributes>;

// New operations for passes that put one in the place of several.
std::shared_ptr<const Op> make_op(const ConvAttributes& attributes);
std::shared_ptr<const Op> make_op(const ImageConvAttributes& attributes);
std::shared_ptr<const Op> make_op(const MatmulAttributes& attributes);
std::shared_ptr<const Op> make_op(const PooledMatmulAttributes& attributes);
std::shared_ptr<const Op> make_op(const InvertedResidualAttributes& attributes);
std::shared_ptr<const Op> make_op(const BatchNormAttributes& attributes);
std::shared_ptr<const Op> make_op(const CastAttributes& attributes);

// Whether the device has a kernel for it on such inputs.
bool has_kernel(const Context& ctx, const InvertedResidualAttributes& attributes,
                std::span<const TensorSpec> inputs);

}  // namespace ops
}  // namespace pila
