// The operations. All but those marked so are differentiable with respect to their floating-point inputs; a
// gradient that exists but is not available throws UsageError on the way back. Second derivatives are missing
// for batch normalisation, max pooling, silu, softmax and cross-entropy. Images are NHWC. Every function
// throws ShapeError when its inputs do not fit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/tensor.h"
#include "kernels/args/conv.h"

namespace pila::ops {

// How a window's output size follows from the input's.
enum class Padding { valid, same };  // `same` as TensorFlow: the odd row and column go below and right

struct ConvOptions {
  int stride = 1;
  int dilation = 1;
  int groups = 1;
  Padding padding = Padding::valid;
  Activation activation = Activation::none;  // applied after the bias
};

// x [n, h, w, c] with kernel HWIO [kh, kw, c / groups, out]; bias [out] or undefined. Keras: Conv2D. A
// residual, shaped as the output, is added behind the activation; or undefined. A 1x1 kernel with stride 1
// and one group runs as a matrix product.
Tensor conv2d(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias,
              const ConvOptions& options, const Tensor& residual = {});
// kernel HWCM [kh, kw, c, multiplier]. Keras: DepthwiseConv2D.
Tensor depthwise_conv2d(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias,
                        const ConvOptions& options);

// The convolutions of an inverted residual as one operation, without a gradient.
struct InvertedResidualWeights {
  struct Step {
    Tensor kernel, bias;  // bias may be undefined
    Activation activation = Activation::none;
  };
  Step expand;  // 1x1; its kernel may be undefined
  Step depthwise, project;
};
// options: of the depthwise convolution. Undefined where the device has no kernel for it.
Tensor inverted_residual(const Context& ctx, const Tensor& x, const InvertedResidualWeights& weights,
                         const ConvOptions& options, const Tensor& residual = {});

// op(a) op(b) + bias for matrices; bias [n] or undefined.
Tensor matmul(const Context& ctx, const Tensor& a, const Tensor& b, bool transpose_a = false,
              bool transpose_b = false, const Tensor& bias = {});
// x [n, in] with kernel [in, out], bias [out] or undefined. Keras: Dense.
Tensor dense(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias);

struct BatchNormResult {
  Tensor y;
  Tensor mean, variance;  // of the batch, biased; a loss may not depend on them (UsageError on the way back)
};
// activation(normalised * gamma + beta) over the last axis. Keras: BatchNormalization and the activation
// layer behind it. gamma, beta and statistics are [channels] of float64 where x is, else float32; given
// statistics are constants: watching them is an error on the way back.
BatchNormResult batch_norm_training(const Context& ctx, const Tensor& x, const Tensor& gamma,
                                    const Tensor& beta, double epsilon,
                                    Activation activation = Activation::none);
Tensor batch_norm_inference(const Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                            const Tensor& mean, const Tensor& variance, double epsilon,
                            Activation activation = Activation::none);
// x of which batch_norm_training() is still to be done, by whoever reads it: its output need not lie in
// memory.
struct Unnormalised {
  Tensor x, gamma, beta;
  Tensor mean, variance;  // of the batch
  Tensor scaling;         // [3, channels]: see kernels::Prologue
  double epsilon = 1e-3;
  Activation activation = Activation::none;
};
Unnormalised batch_norm_by_reader(const Context& ctx, const Tensor& x, const Tensor& gamma,
                                  const Tensor& beta, double epsilon,
                                  Activation activation = Activation::none);
// Convolutions that read it, with the bits of what they would read from memory: of a 1x1 kernel, and
// depthwise.
Tensor pointwise_conv2d(const Context& ctx, const Unnormalised& image, const Tensor& kernel);
Tensor depthwise_conv2d(const Context& ctx, const Unnormalised& image, const Tensor& kernel,
                        const ConvOptions& options);

struct FoldedWeights {
  Tensor kernel, bias;
};
// Of a convolution that does what one with this kernel, HWIO or HWCM, without a bias, and batch normalisation
// by given statistics behind it do. Gradients reach kernel, gamma and beta.
FoldedWeights fold_batch_norm(const Context& ctx, const Tensor& kernel, const Tensor& gamma,
                              const Tensor& beta, const Tensor& mean, const Tensor& variance, double epsilon);
// average = average * momentum + value * (1 - momentum), in place; not differentiable.
void moving_average(const Context& ctx, const Tensor& average, const Tensor& value, double momentum);

Tensor activation(const Context& ctx, const Tensor& x, Activation kind);

// With NumPy's broadcasting.
Tensor add(const Context& ctx, const Tensor& a, const Tensor& b);
Tensor subtract(const Context& ctx, const Tensor& a, const Tensor& b);
Tensor multiply(const Context& ctx, const Tensor& a, const Tensor& b);
// x * factor + offset.
Tensor affine(const Context& ctx, const Tensor& x, double factor, double offset = 0);

Tensor zero_pad(const Context& ctx, const Tensor& x, int top, int bottom, int left, int right);
Tensor crop(const Context& ctx, const Tensor& x, int top, int bottom, int left, int right);
struct PoolOptions {
  int window = 2;
  int stride = 2;
  Padding padding = Padding::valid;
};
Tensor max_pool(const Context& ctx, const Tensor& x, const PoolOptions& options);
Tensor global_average_pool(const Context& ctx, const Tensor& x);  // [n, h, w, c] to [n, c]

// Sum or mean along axes [first, last] (adjacent, negative counts from the end), which disappear.
Tensor reduce_sum(const Context& ctx, const Tensor& x, int first, int last);
Tensor reduce_mean(const Context& ctx, const Tensor& x, int first, int last);
Tensor sum(const Context& ctx, const Tensor& x);   // of all elements, rank 0
Tensor mean(const Context& ctx, const Tensor& x);  // of all elements, rank 0

Tensor reshape(const Context& ctx, const Tensor& x, const Shape& shape);  // shares x's memory
// To integers: rounded to nearest even, saturated, without a gradient. Gives x itself for its own type.
Tensor cast(const Context& ctx, const Tensor& x, DType type);

// Gives x itself outside of training or at rate 0. `place` tells apart the dropouts of a network,
// `per_sample` drops whole samples (Keras: Dropout with noise_shape [n, 1, ...]).
Tensor dropout(const Context& ctx, const Tensor& x, double rate, std::uint32_t place,
               bool per_sample = false);

Tensor softmax(const Context& ctx, const Tensor& x);  // along the last axis
// Loss of each row, [n], from logits [n, classes] and labels int32 [n]; class_weights [classes] or undefined
// (constants to the gradient). The caller checks that labels lie in [0, classes). Keras:
// SparseCategoricalCrossentropy(from_logits).
Tensor sparse_cross_entropy(const Context& ctx, const Tensor& logits, const Tensor& labels,
                            double smoothing = 0, const Tensor& class_weights = {});

// uint8 [..., c] to float: pixel * scale[c] + offset[c] (one value for all channels or one each). Not
// differentiable.
Tensor image_to_float(const Context& ctx, const Tensor& image, std::span<const float> scale,
                      std::span<const float> offset, DType type = DType::f32);
// Bilinear, half-pixel centres, to float: tf.image.resize. Not differentiable.
Tensor resize_bilinear(const Context& ctx, const Tensor& image, std::int64_t height, std::int64_t width,
                       DType type = DType::f32);

}  // namespace pila::ops
