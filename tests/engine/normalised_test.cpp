// Convolutions that normalise what they read: the numbers, bits and gradients of normalising before.
#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "tests/support/gradcheck.h"

namespace pila {
namespace {

using test::random_tensor;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr double kNormEpsilon = 1e-3;
constexpr std::int64_t kImageChannels = 6;

struct NormalisedCase {
  const char* name;
  Shape image, kernel;
  int stride;  // of a depthwise convolution; 0: 1x1
  Activation activation;
};
const NormalisedCase kNormalisedCases[] = {
    {"1x1", {2, 4, 5, kImageChannels}, {1, 1, kImageChannels, 4}, 0, Activation::relu6},
    {"1x1, linear", {3, 3, 3, kImageChannels}, {1, 1, kImageChannels, 9}, 0, Activation::none},
    {"depthwise", {2, 5, 4, kImageChannels}, {3, 3, kImageChannels, 1}, 1, Activation::relu6},
    {"depthwise, stride 2", {2, 6, 7, kImageChannels}, {3, 3, kImageChannels, 1}, 2, Activation::silu},
};

ops::ConvOptions options_of(const NormalisedCase& of) {
  return {.stride = of.stride, .padding = ops::Padding::same};
}

// in: x, gamma, beta, kernel.
Tensor by_reader(const Context& ctx, const NormalisedCase& of, std::span<const Tensor> in) {
  const auto image = ops::batch_norm_by_reader(ctx, in[0], in[1], in[2], kNormEpsilon, of.activation);
  return of.stride == 0 ? ops::pointwise_conv2d(ctx, image, in[3])
                        : ops::depthwise_conv2d(ctx, image, in[3], options_of(of));
}

Tensor before(const Context& ctx, const NormalisedCase& of, std::span<const Tensor> in) {
  const Tensor image = ops::batch_norm_training(ctx, in[0], in[1], in[2], kNormEpsilon, of.activation).y;
  return of.stride == 0 ? ops::conv2d(ctx, image, in[3], {}, {})
                        : ops::depthwise_conv2d(ctx, image, in[3], {}, options_of(of));
}

std::vector<Tensor> inputs_of(const Context& ctx, const NormalisedCase& of) {
  return {random_tensor(ctx, of.image, 1, -2, 3), random_tensor(ctx, {kImageChannels}, 2, 0.5, 2),
          random_tensor(ctx, {kImageChannels}, 3), random_tensor(ctx, of.kernel, 4)};
}

TEST(NormalisedConvolution, HasTheNumbersAndGradientsOfNormalisingBefore) {
  const Context ctx = test::reference_context();
  for (const NormalisedCase& of : kNormalisedCases) {
    SCOPED_TRACE(of.name);
    const std::vector<Tensor> in = inputs_of(ctx, of);
    const test::Function f = [&](const Context& run, std::span<const Tensor> given) {
      return by_reader(run, of, given);
    };
    const test::Function expected = [&](const Context& run, std::span<const Tensor> given) {
      return before(run, of, given);
    };
    EXPECT_LT(
        test::relative_error(f(ctx, in).to_vector<double>(ctx), expected(ctx, in).to_vector<double>(ctx)),
        1e-13);
    const auto actual = test::tape_gradients(ctx, f, in, in),
               wanted = test::tape_gradients(ctx, expected, in, in);
    for (std::size_t i = 0; i < in.size(); ++i) {
      EXPECT_LT(test::relative_error(actual[i].to_vector<double>(ctx), wanted[i].to_vector<double>(ctx)),
                1e-12)
          << "input " << i;
    }
  }
}

// By central differences, which know nothing of either way.
TEST(NormalisedConvolution, HasGradients) {
  const Context ctx = test::reference_context();
  for (const NormalisedCase& of : kNormalisedCases) {
    if (of.activation == Activation::relu6) continue;  // kinks: see the test above
    SCOPED_TRACE(of.name);
    test::check_gradients(
        ctx, [&](const Context& run, std::span<const Tensor> in) { return by_reader(run, of, in); },
        inputs_of(ctx, of), 1e-6);
  }
}

// What the processor's fast kernels read through a prologue has the bits of what they would read from memory.
TEST(NormalisedConvolution, HasTheBitsOfNormalisingBeforeOnTheProcessor) {
  const Context doubles = test::reference_context();
  for (const int threads : {1, 3}) {
    const Context ctx(Device::cpu(threads));
    for (const NormalisedCase& of : kNormalisedCases) {
      SCOPED_TRACE(of.name);
      std::vector<Tensor> in;
      for (const Tensor& input : inputs_of(doubles, of)) {
        const auto values = input.to_vector<double>(doubles);
        in.push_back(Tensor::from(ctx, input.shape(), std::vector<float>(values.begin(), values.end())));
      }
      const auto run = [&](const auto& function) {
        Tape tape;
        for (const Tensor& input : in) tape.watch(input);
        const Context recorded = ctx.with_recorder(&tape);
        const Tensor y = function(recorded, of, std::span<const Tensor>(in));
        const Gradients gradients =
            tape.backward(recorded, ops::sum(recorded, ops::multiply(recorded, y, y)));
        std::vector<std::vector<float>> values = {y.to_vector<float>(ctx)};
        for (const Tensor& input : in) values.push_back(gradients.of(input).to_vector<float>(ctx));
        return values;
      };
      const auto actual = run(by_reader), expected = run(before);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_TRUE(test::same_bits(actual[i], expected[i])) << i;
      }
    }
  }
}

// A tape keeps the image as it was before: once, where normalising before keeps it twice.
TEST(NormalisedConvolution, TakesTheMemoryOfOneImage) {
  const Context ctx(Device::cpu(1));
  constexpr std::int64_t kSize = 64, kMany = 32;
  const Tensor x = Tensor::zeros(ctx, {{1, kSize, kSize, kMany}, DType::f32});
  const std::vector<Tensor> in = {x, Tensor::full(ctx, {{kMany}, DType::f32}, 1),
                                  Tensor::zeros(ctx, {{kMany}, DType::f32}),
                                  Tensor::zeros(ctx, {{1, 1, kMany, 1}, DType::f32})};
  const auto grown_by = [&](const auto& function) {
    Tape tape;
    for (const Tensor& input : in) tape.watch(input);
    const std::size_t used = ctx.device()->allocator().statistics().bytes_in_use;
    const Tensor y = function(ctx.with_recorder(&tape), kNormalisedCases[0], std::span<const Tensor>(in));
    return static_cast<double>(ctx.device()->allocator().statistics().bytes_in_use - used) /
           static_cast<double>(x.spec().bytes());
  };
  EXPECT_LT(grown_by(by_reader), 0.2);
  EXPECT_GT(grown_by(before), 1);
}

TEST(NormalisedConvolution, RefusesKernelsThatDoNotFit) {
  const Context ctx = test::reference_context();
  const std::vector<Tensor> in = inputs_of(ctx, kNormalisedCases[0]);
  const auto image = ops::batch_norm_by_reader(ctx, in[0], in[1], in[2], kNormEpsilon);
  const auto of = [&](const Shape& shape) { return random_tensor(ctx, shape, 5); };
  EXPECT_THAT(
      [&] {
        ops::pointwise_conv2d(ctx, image, of({1, 1, kImageChannels + 1, 4}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("a kernel [1, 1, channels, out]")));
  EXPECT_THAT(
      [&] {
        ops::pointwise_conv2d(ctx, image, of({3, 3, kImageChannels, 4}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("a kernel [1, 1, channels, out]")));
  EXPECT_THAT(
      [&] {
        ops::depthwise_conv2d(ctx, image, of({3, 3, kImageChannels - 1, 1}), {});
      },
      ThrowsMessage<ShapeError>(HasSubstr("a kernel [h, w, image channels, multiplier]")));
}

}  // namespace
}  // namespace pila
