// Convolutions and matrix products, differentiated once and twice.
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"

namespace pila {
namespace {

using ops::ConvOptions;
using ops::Padding;
using test::check_gradients;
using test::check_second_gradients;
using test::random_tensor;

struct ConvCase {
  const char* name;
  Shape x, kernel;
  ConvOptions options;
};
void PrintTo(const ConvCase& conv, std::ostream* out) { *out << conv.name; }

std::string name_of(const testing::TestParamInfo<ConvCase>& info) { return info.param.name; }

class DenseConvolution : public testing::TestWithParam<ConvCase> {};
class DepthwiseConvolution : public testing::TestWithParam<ConvCase> {};

template <class Convolve>
void check(const ConvCase& conv, std::int64_t channels, Convolve&& convolve) {
  const Context ctx = test::reference_context();
  const std::vector<Tensor> inputs = {random_tensor(ctx, conv.x, 1), random_tensor(ctx, conv.kernel, 2),
                                      random_tensor(ctx, {channels}, 3)};
  check_gradients(
      ctx, [&](const Context& run, std::span<const Tensor> in) { return convolve(run, in[0], in[1], in[2]); },
      inputs);
  // The projection is linear in each input, so a gradient's norm has every second derivative in it.
  check_second_gradients(
      ctx,
      [&](const Context& run, std::span<const Tensor> in) { return convolve(run, in[0], in[1], Tensor()); },
      {inputs[0], inputs[1]});
}

TEST_P(DenseConvolution, HasItsGradients) {
  const ConvCase& conv = GetParam();
  check(conv, conv.kernel[3], [&](const Context& ctx, const Tensor& x, const Tensor& w, const Tensor& bias) {
    return ops::conv2d(ctx, x, w, bias, conv.options);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, DenseConvolution,
    testing::Values(
        ConvCase{"valid_3x3", {2, 5, 4, 2}, {3, 3, 2, 3}, {}},
        ConvCase{"same_even_stride_2", {1, 6, 4, 2}, {3, 3, 2, 2}, {.stride = 2, .padding = Padding::same}},
        ConvCase{"same_odd_stride_2", {1, 5, 7, 2}, {3, 3, 2, 2}, {.stride = 2, .padding = Padding::same}},
        ConvCase{"dilated", {1, 6, 7, 2}, {3, 2, 2, 2}, {.dilation = 2, .padding = Padding::same}},
        ConvCase{"two_groups", {2, 4, 4, 4}, {3, 3, 2, 6}, {.groups = 2, .padding = Padding::same}},
        ConvCase{"pointwise", {2, 3, 3, 4}, {1, 1, 4, 3}, {}},
        ConvCase{"pointwise_stride_2", {2, 3, 4, 3}, {1, 1, 3, 2}, {.stride = 2}},
        ConvCase{"pointwise_groups", {1, 2, 3, 4}, {1, 1, 2, 4}, {.groups = 2}},
        ConvCase{"window_larger_than_image", {1, 2, 2, 2}, {5, 5, 2, 2}, {.padding = Padding::same}},
        ConvCase{"single_pixel", {1, 1, 1, 3}, {3, 3, 3, 2}, {.stride = 2, .padding = Padding::same}}),
    name_of);

TEST_P(DepthwiseConvolution, HasItsGradients) {
  const ConvCase& conv = GetParam();
  check(conv, conv.kernel[2] * conv.kernel[3],
        [&](const Context& ctx, const Tensor& x, const Tensor& w, const Tensor& bias) {
          return ops::depthwise_conv2d(ctx, x, w, bias, conv.options);
        });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, DepthwiseConvolution,
    testing::Values(
        ConvCase{"same_3x3", {2, 4, 5, 3}, {3, 3, 3, 1}, {.padding = Padding::same}},
        ConvCase{"stride_2", {1, 6, 5, 3}, {3, 3, 3, 1}, {.stride = 2, .padding = Padding::same}},
        ConvCase{"multiplier_2", {1, 4, 4, 2}, {3, 3, 2, 2}, {}},
        ConvCase{"dilated_5x5", {1, 9, 9, 2}, {5, 5, 2, 1}, {.dilation = 2, .padding = Padding::same}}),
    name_of);

// Inputs are spread so that no sum lies within a step of the kinks at 0 and 6.
TEST(FusedActivation, HasTheGradientOfTheSeparateOne) {
  const Context ctx = test::reference_context();
  for (const Activation kind : {Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    for (const int size : {1, 3}) {
      SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(kind) << ", window " << size);
      const ConvOptions options{.padding = Padding::same, .activation = kind};
      check_gradients(ctx,
                      [&](const Context& run, std::span<const Tensor> in) {
                        return ops::conv2d(run, in[0], in[1], in[2], options);
                      },
                      {random_tensor(ctx, {1, 3, 3, 3}, 1, -3, 3),
                       random_tensor(ctx, {size, size, 3, 3}, 2, -2, 2), random_tensor(ctx, {3}, 3)});
      check_gradients(ctx,
                      [&](const Context& run, std::span<const Tensor> in) {
                        return ops::depthwise_conv2d(run, in[0], in[1], in[2], options);
                      },
                      {random_tensor(ctx, {1, 3, 3, 3}, 4, -3, 3),
                       random_tensor(ctx, {size, size, 3, 1}, 5, -2, 2), random_tensor(ctx, {3}, 6)});
    }
  }
}

TEST(MatrixProduct, HasItsGradients) {
  const Context ctx = test::reference_context();
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      SCOPED_TRACE(testing::Message() << transpose_a << transpose_b);
      const std::vector<Tensor> inputs = {random_tensor(ctx, transpose_a ? Shape{4, 3} : Shape{3, 4}, 1),
                                          random_tensor(ctx, transpose_b ? Shape{5, 4} : Shape{4, 5}, 2),
                                          random_tensor(ctx, {5}, 3)};
      check_gradients(
          ctx,
          [&](const Context& run, std::span<const Tensor> in) {
            return ops::matmul(run, in[0], in[1], transpose_a, transpose_b, in[2]);
          },
          inputs);
      check_second_gradients(ctx,
                             [&](const Context& run, std::span<const Tensor> in) {
                               return ops::matmul(run, in[0], in[1], transpose_a, transpose_b);
                             },
                             {inputs[0], inputs[1]});
    }
  }
}

TEST(Dense, HasItsGradients) {
  const Context ctx = test::reference_context();
  check_gradients(
      ctx,
      [](const Context& run, std::span<const Tensor> in) { return ops::dense(run, in[0], in[1], in[2]); },
      {random_tensor(ctx, {4, 3}, 1), random_tensor(ctx, {3, 2}, 2), random_tensor(ctx, {2}, 3)});
}

}  // namespace
}  // namespace pila
