// Batch normalisation by given statistics as part of a convolution: the same numbers and gradients as behind
// it.
#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "tests/support/gradcheck.h"

namespace pila {
namespace {

using test::check_gradients;
using test::random_tensor;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr double kEpsilon = 1e-3;

// A convolution and its normalisation's numbers. Statistics are far enough from 0 and 1 to matter.
struct Convolution {
  Tensor x, kernel, gamma, beta, mean, variance;
  bool depthwise;

  Convolution(const Context& ctx, bool is_depthwise, const Shape& kernel_shape, std::int64_t channels)
      : x(random_tensor(ctx, {2, 5, 4, 3}, 1)),
        kernel(random_tensor(ctx, kernel_shape, 2)),
        gamma(random_tensor(ctx, {channels}, 3, 0.5, 2)),
        beta(random_tensor(ctx, {channels}, 4)),
        mean(random_tensor(ctx, {channels}, 5)),
        variance(random_tensor(ctx, {channels}, 6, 0.2, 3)),
        depthwise(is_depthwise) {}

  Tensor convolve(const Context& ctx, const Tensor& image, const Tensor& weights, const Tensor& bias) const {
    const ops::ConvOptions options{.stride = 1, .padding = ops::Padding::same};
    return depthwise ? ops::depthwise_conv2d(ctx, image, weights, bias, options)
                     : ops::conv2d(ctx, image, weights, bias, options);
  }
  Tensor folded(const Context& ctx, std::span<const Tensor> in) const {
    const auto weights = ops::fold_batch_norm(ctx, in[1], in[2], in[3], mean, variance, kEpsilon);
    return convolve(ctx, in[0], weights.kernel, weights.bias);
  }
  Tensor separate(const Context& ctx, std::span<const Tensor> in) const {
    const Tensor y = convolve(ctx, in[0], in[1], {});
    return ops::batch_norm_inference(ctx, y, in[2], in[3], mean, variance, kEpsilon);
  }
  std::vector<Tensor> inputs() const { return {x, kernel, gamma, beta}; }
};

class FoldTest : public testing::Test {
 protected:
  const Context ctx_ = test::reference_context();
  // Dense, 1x1, depthwise, and depthwise with two outputs for a channel.
  const std::vector<Convolution> convolutions_ = {{ctx_, false, {3, 3, 3, 4}, 4},
                                                  {ctx_, false, {1, 1, 3, 4}, 4},
                                                  {ctx_, true, {3, 3, 3, 1}, 3},
                                                  {ctx_, true, {3, 3, 3, 2}, 6}};
};

TEST_F(FoldTest, IsTheSameAsNormalisingBehind) {
  for (const Convolution& conv : convolutions_) {
    const std::vector<Tensor> in = conv.inputs();
    EXPECT_LT(test::relative_error(conv.folded(ctx_, in).to_vector<double>(ctx_),
                                   conv.separate(ctx_, in).to_vector<double>(ctx_)),
              1e-13);
  }
}

TEST_F(FoldTest, HasTheSameGradients) {
  for (const Convolution& conv : convolutions_) {
    const test::Function f = [&](const Context& run, std::span<const Tensor> in) {
      return conv.folded(run, in);
    };
    check_gradients(ctx_, f, conv.inputs());
  }
}

TEST_F(FoldTest, RefusesWhatDoesNotFit) {
  const Convolution& conv = convolutions_[0];
  const Tensor short_mean = random_tensor(ctx_, {3}, 1);
  EXPECT_THAT(
      [&] {
        ops::fold_batch_norm(ctx_, conv.kernel, conv.gamma, conv.beta, short_mean, conv.variance, 1e-3);
      },
      ThrowsMessage<ShapeError>(HasSubstr("four tensors of its channels")));
}

// A residual's gradient is the output's own.
TEST_F(FoldTest, ConvolutionsWithAResidualHaveGradients) {
  for (const Shape& kernel : {Shape{1, 1, 3, 4}, Shape{3, 3, 3, 4}}) {
    const test::Function f = [](const Context& run, std::span<const Tensor> in) {
      return ops::conv2d(run, in[0], in[1], in[2], {.padding = ops::Padding::same}, in[3]);
    };
    check_gradients(ctx_, f,
                    {random_tensor(ctx_, {2, 4, 4, 3}, 1), random_tensor(ctx_, kernel, 2),
                     random_tensor(ctx_, {4}, 3), random_tensor(ctx_, {2, 4, 4, 4}, 4)});
  }
}

// Behind an activation the sum is an operation of its own, as the way back needs the activation's output.
TEST_F(FoldTest, AResidualBehindAnActivationHasAGradientToo) {
  const test::Function f = [](const Context& run, std::span<const Tensor> in) {
    return ops::conv2d(run, in[0], in[1], {}, {.activation = Activation::sigmoid}, in[2]);
  };
  check_gradients(ctx_, f,
                  {random_tensor(ctx_, {1, 3, 3, 2}, 1), random_tensor(ctx_, {1, 1, 2, 3}, 2),
                   random_tensor(ctx_, {1, 3, 3, 3}, 3)});
}

}  // namespace
}  // namespace pila
