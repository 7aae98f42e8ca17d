// What the operations compute, on numbers small enough to follow by hand. The arithmetic itself is tested
// with the kernels; here it is the attributes, shapes and broadcasting that the engine adds.
#include "engine/ops/ops.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "engine/core/error.h"
#include "tests/engine/recorders.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::Pointwise;

class OpsTest : public testing::Test {
 protected:
  Tensor of(const Shape& shape, const std::vector<double>& values) const {
    return Tensor::from(ctx_, shape, values);
  }
  Tensor counting(const Shape& shape) const {
    std::vector<double> values(static_cast<std::size_t>(shape.elements()));
    std::iota(values.begin(), values.end(), 0.0);
    return of(shape, values);
  }
  Tensor random(const Shape& shape, std::uint64_t seed) const {
    return of(shape, test::uniform_data<double>(static_cast<std::size_t>(shape.elements()), seed));
  }
  std::vector<double> values(const Tensor& x) const { return x.to_vector<double>(ctx_); }

  const Context ctx_{Device::reference()};
};

TEST_F(OpsTest, MultipliesMatricesInEveryOrientation) {
  const Tensor a = of({2, 3}, {1, 2, 3, 4, 5, 6}), at = of({3, 2}, {1, 4, 2, 5, 3, 6});
  const Tensor b = of({3, 2}, {1, 0, 0, 1, 1, 1}), bt = of({2, 3}, {1, 0, 1, 0, 1, 1});
  EXPECT_THAT(values(ops::matmul(ctx_, a, b)), ElementsAre(4, 5, 10, 11));
  EXPECT_THAT(values(ops::matmul(ctx_, at, b, true)), ElementsAre(4, 5, 10, 11));
  EXPECT_THAT(values(ops::matmul(ctx_, a, bt, false, true)), ElementsAre(4, 5, 10, 11));
  EXPECT_THAT(values(ops::matmul(ctx_, at, bt, true, true)), ElementsAre(4, 5, 10, 11));
  EXPECT_THAT(values(ops::dense(ctx_, a, b, of({2}, {100, 200}))), ElementsAre(104, 205, 110, 211));
}

TEST_F(OpsTest, PadsLikeTensorFlow) {
  const Tensor ones = of({3, 3, 1, 1}, std::vector<double>(9, 1));
  // Even extent, stride 2: the odd row and column go below and right, so no tap is lost above.
  const Tensor even = ops::conv2d(ctx_, of({1, 4, 4, 1}, std::vector<double>(16, 1)), ones, {},
                                  {.stride = 2, .padding = ops::Padding::same});
  EXPECT_EQ(even.shape(), (Shape{1, 2, 2, 1}));
  EXPECT_THAT(values(even), ElementsAre(9, 6, 6, 4));
  // Odd extent: one on each side.
  const Tensor odd = ops::conv2d(ctx_, of({1, 5, 5, 1}, std::vector<double>(25, 1)), ones, {},
                                 {.stride = 2, .padding = ops::Padding::same});
  EXPECT_THAT(values(odd), ElementsAre(4, 6, 4, 6, 9, 6, 4, 6, 4));
  const Tensor valid =
      ops::conv2d(ctx_, of({1, 5, 6, 1}, std::vector<double>(30, 1)), ones, {}, {.stride = 2});
  EXPECT_EQ(valid.shape(), (Shape{1, 2, 2, 1}));
  const Tensor dilated = ops::conv2d(ctx_, counting({1, 5, 5, 1}), ones, {}, {.dilation = 2});
  EXPECT_THAT(values(dilated), ElementsAre(9 * 12));
}

TEST_F(OpsTest, ConvolvesGroupsAndMultipliesChannels) {
  const Tensor x = of({1, 1, 1, 4}, {1, 2, 3, 4});
  const Tensor grouped = ops::conv2d(ctx_, x, of({1, 1, 2, 2}, {1, 10, 1, 10}), {}, {.groups = 2});
  EXPECT_THAT(values(grouped), ElementsAre(3, 70));
  const Tensor doubled = ops::depthwise_conv2d(ctx_, x, of({1, 1, 4, 2}, {1, 2, 1, 2, 1, 2, 1, 2}),
                                               of({8}, {0, 0, 0, 0, 0, 0, 0, 9}), {});
  EXPECT_THAT(values(doubled), ElementsAre(1, 2, 2, 4, 3, 6, 4, 17));
}

TEST_F(OpsTest, PointwiseConvolutionIsAMatrixProduct) {
  const Tensor x = random({2, 3, 4, 5}, 1), kernel = random({1, 1, 5, 6}, 2), bias = random({6}, 3);
  test::ListingRecorder recorder;
  const Tensor y = ops::conv2d(ctx_.with_recorder(&recorder), x, kernel, bias, {});
  EXPECT_THAT(recorder.names(), ElementsAre("matmul"));
  EXPECT_EQ(y.shape(), (Shape{2, 3, 4, 6}));
  const Tensor product = ops::dense(ctx_, x.view({24, 5}), kernel.view({5, 6}), bias);
  EXPECT_TRUE(test::same_bits(values(y), values(product)));
}

// Rounding to float64 apart: the epilogue and the separate operation may round once more or less.
TEST_F(OpsTest, EpilogueActivationsEqualSeparateOnes) {
  const Tensor x = random({2, 5, 5, 4}, 1), bias = random({4}, 3);
  test::ListingRecorder recorder;
  for (const Context& ctx : {ctx_, ctx_.with_recorder(&recorder)}) {
    for (const Activation kind :
         {Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
      for (const int size : {1, 3}) {
        const ops::ConvOptions plain{.padding = ops::Padding::same};
        ops::ConvOptions fused = plain;
        fused.activation = kind;
        const Tensor dense_kernel = random({size, size, 4, 4}, 2),
                     depthwise_kernel = random({size, size, 4, 1}, 2);
        EXPECT_TRUE(test::close_each(
            values(ops::conv2d(ctx, x, dense_kernel, bias, fused)),
            values(ops::activation(ctx, ops::conv2d(ctx, x, dense_kernel, bias, plain), kind)), 1e-14));
        EXPECT_TRUE(test::close_each(
            values(ops::depthwise_conv2d(ctx, x, depthwise_kernel, bias, fused)),
            values(ops::activation(ctx, ops::depthwise_conv2d(ctx, x, depthwise_kernel, bias, plain), kind)),
            1e-14));
      }
    }
  }
}

TEST_F(OpsTest, ConvolutionIsOneOperationWhateverItsActivation) {
  const Tensor x = random({1, 5, 5, 4}, 1), kernel = random({3, 3, 4, 4}, 2);
  const auto requests_with = [&](Activation kind) {
    const auto before = ctx_.device()->allocator().statistics().requests;
    ops::conv2d(ctx_, x, kernel, {}, {.activation = kind});
    return ctx_.device()->allocator().statistics().requests - before;
  };
  const auto plain = requests_with(Activation::none);
  EXPECT_EQ(requests_with(Activation::relu6), plain);
  EXPECT_EQ(requests_with(Activation::silu), plain);

  test::ListingRecorder recorder;
  const Context recorded = ctx_.with_recorder(&recorder);
  ops::conv2d(recorded, x, kernel, {}, {.activation = Activation::relu6});
  ops::conv2d(recorded, x, kernel, {}, {.activation = Activation::silu});
  EXPECT_THAT(recorder.names(), ElementsAre("conv2d", "conv2d", "activation")) << "silu needs its input back";
}

TEST_F(OpsTest, NormalisesWithTheBatchsStatistics) {
  const Tensor x = of({2, 1, 1, 2}, {1, 10, 3, 30});
  const Tensor gamma = of({2}, {1, 2}), beta = of({2}, {0, 5});
  const auto result = ops::batch_norm_training(ctx_, x, gamma, beta, 0);
  EXPECT_THAT(values(result.mean), ElementsAre(2, 20));
  EXPECT_THAT(values(result.variance), ElementsAre(1, 100));
  EXPECT_THAT(values(result.y), ElementsAre(-1, 3, 1, 7));
  const Tensor same = ops::batch_norm_inference(ctx_, x, gamma, beta, result.mean, result.variance, 0);
  EXPECT_THAT(values(same), ElementsAre(-1, 3, 1, 7));
  EXPECT_THAT(values(ops::batch_norm_training(ctx_, x, gamma, beta, 0, Activation::relu).y),
              ElementsAre(0, 3, 1, 7));
}

TEST_F(OpsTest, MovesAveragesInPlace) {
  const Tensor average = of({2}, {1, 2});
  const auto before = average.version();
  ops::moving_average(ctx_, average, of({2}, {3, 6}), 0.75);
  EXPECT_THAT(values(average), ElementsAre(1.5, 3));
  EXPECT_GT(average.version(), before);
}

TEST_F(OpsTest, BroadcastsLikeNumPy) {
  const Tensor x = counting({2, 3});
  EXPECT_THAT(values(ops::add(ctx_, x, of({3}, {10, 20, 30}))), ElementsAre(10, 21, 32, 13, 24, 35));
  EXPECT_THAT(values(ops::subtract(ctx_, x, of({2, 1}, {1, 2}))), ElementsAre(-1, 0, 1, 1, 2, 3));
  EXPECT_THAT(values(ops::multiply(ctx_, x, of({}, {2}))), ElementsAre(0, 2, 4, 6, 8, 10));
  const Tensor outer = ops::multiply(ctx_, of({2, 1}, {1, 2}), of({1, 3}, {1, 2, 3}));
  EXPECT_EQ(outer.shape(), (Shape{2, 3}));
  EXPECT_THAT(values(outer), ElementsAre(1, 2, 3, 2, 4, 6));
  EXPECT_THAT(values(ops::subtract(ctx_, of({1}, {1}), of({1, 2}, {5, 6}))), ElementsAre(-4, -5));
  EXPECT_THAT(values(ops::affine(ctx_, x, 2, 1)), ElementsAre(1, 3, 5, 7, 9, 11));
}

TEST_F(OpsTest, ActivationOfKindNoneIsTheInput) {
  const Tensor x = counting({3});
  EXPECT_EQ(ops::activation(ctx_, x, Activation::none).id(), x.id());
  EXPECT_THAT(values(ops::activation(ctx_, of({3}, {-1, 3, 9}), Activation::relu6)), ElementsAre(0, 3, 6));
}

TEST_F(OpsTest, PadsCropsAndPools) {
  const Tensor x = counting({1, 2, 2, 1});
  const Tensor padded = ops::zero_pad(ctx_, x, 1, 0, 0, 2);
  EXPECT_EQ(padded.shape(), (Shape{1, 3, 4, 1}));
  EXPECT_THAT(values(padded), ElementsAre(0, 0, 0, 0, 0, 1, 0, 0, 2, 3, 0, 0));
  EXPECT_THAT(values(ops::crop(ctx_, padded, 1, 0, 0, 2)), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(values(ops::max_pool(ctx_, counting({1, 4, 4, 1}), {})), ElementsAre(5, 7, 13, 15));
  // With `same`, taps outside the image do not count: the largest of negative numbers stays negative.
  const Tensor negative = ops::affine(ctx_, counting({1, 3, 3, 1}), 1, -100);
  EXPECT_THAT(
      values(ops::max_pool(ctx_, negative, {.window = 2, .stride = 2, .padding = ops::Padding::same})),
      ElementsAre(-96, -95, -93, -92));
  EXPECT_THAT(values(ops::global_average_pool(ctx_, counting({1, 2, 2, 2}))), ElementsAre(3, 4));
}

TEST_F(OpsTest, ReducesAdjacentAxes) {
  const Tensor x = counting({2, 3, 2});
  EXPECT_THAT(values(ops::reduce_sum(ctx_, x, 0, 0)), ElementsAre(6, 8, 10, 12, 14, 16));
  EXPECT_THAT(values(ops::reduce_sum(ctx_, x, 1, 1)), ElementsAre(6, 9, 24, 27));
  EXPECT_THAT(values(ops::reduce_sum(ctx_, x, -2, -1)), ElementsAre(15, 51));
  EXPECT_THAT(values(ops::reduce_mean(ctx_, x, 0, 1)), ElementsAre(5, 6));
  EXPECT_EQ(ops::reduce_sum(ctx_, x, 0, 2).shape(), Shape{});
  EXPECT_EQ(ops::sum(ctx_, x).item<double>(ctx_), 66);
  EXPECT_EQ(ops::mean(ctx_, x).item<double>(ctx_), 5.5);
  EXPECT_EQ(ops::mean(ctx_, ops::sum(ctx_, x)).item<double>(ctx_), 66);
}

TEST_F(OpsTest, ReshapesWithoutCopying) {
  const Tensor x = counting({2, 3});
  const Tensor y = ops::reshape(ctx_, x, {3, 2});
  EXPECT_EQ(y.data(), x.data());
  EXPECT_NE(y.id(), x.id());
  EXPECT_EQ(ops::reshape(ctx_, x, {2, 3}).id(), x.id());
}

TEST_F(OpsTest, CastsBetweenTypes) {
  const Tensor x = of({3}, {1.5, 2.5, 300});
  EXPECT_THAT(ops::cast(ctx_, x, DType::f32).to_vector<float>(ctx_), ElementsAre(1.5f, 2.5f, 300.0f));
  EXPECT_THAT(ops::cast(ctx_, x, DType::u8).to_vector<std::uint8_t>(ctx_), ElementsAre(2, 2, 255));
  EXPECT_EQ(ops::cast(ctx_, x, DType::f64).id(), x.id());
}

TEST_F(OpsTest, DropsOnlyInTraining) {
  const Tensor x = of({1000}, std::vector<double>(1000, 1));
  EXPECT_EQ(ops::dropout(ctx_, x, 0.25, 0).id(), x.id());
  const Tensor step = Tensor::full(ctx_, {{}, DType::i64}, 1);
  const Context training = ctx_.for_training(5, step);
  EXPECT_EQ(ops::dropout(training, x, 0, 0).id(), x.id());

  const std::vector<double> first = values(ops::dropout(training, x, 0.25, 0));
  EXPECT_THAT(first, Each(testing::AnyOf(0, DoubleNear(4.0 / 3, 1e-15))));
  const auto dropped = std::count(first.begin(), first.end(), 0);
  EXPECT_NEAR(static_cast<double>(dropped), 250, 5 * std::sqrt(1000 * 0.25 * 0.75));
  EXPECT_EQ(values(ops::dropout(training, x, 0.25, 0)), first);
  EXPECT_NE(values(ops::dropout(training, x, 0.25, 1)), first) << "another place";
  EXPECT_NE(values(ops::dropout(ctx_.for_training(6, step), x, 0.25, 0)), first) << "another seed";
  step.assign<std::int64_t>(ctx_, std::vector<std::int64_t>{2});
  EXPECT_NE(values(ops::dropout(training, x, 0.25, 0)), first) << "another step";
}

TEST_F(OpsTest, DropsWholeSamples) {
  const Context training = ctx_.for_training(5, Tensor::full(ctx_, {{}, DType::i64}, 1));
  const std::vector<double> y =
      values(ops::dropout(training, of({40, 3}, std::vector<double>(120, 1)), 0.5, 0, true));
  int dropped = 0;
  for (std::size_t sample = 0; sample < 40; ++sample) {
    EXPECT_EQ(y[3 * sample], y[3 * sample + 1]);
    EXPECT_EQ(y[3 * sample], y[3 * sample + 2]);
    dropped += y[3 * sample] == 0;
  }
  EXPECT_GT(dropped, 5);
  EXPECT_LT(dropped, 35);
}

TEST_F(OpsTest, SoftmaxAndCrossEntropyAgree) {
  const Tensor logits = of({2, 3}, {1, 2, 3, 1000, 1000, 1000});
  const std::vector<double> p = values(ops::softmax(ctx_, logits));
  const double total = std::exp(-2) + std::exp(-1) + 1;
  EXPECT_THAT(p, Pointwise(DoubleNear(1e-15), {std::exp(-2) / total, std::exp(-1) / total, 1 / total, 1.0 / 3,
                                               1.0 / 3, 1.0 / 3}));
  const Tensor labels = Tensor::from<std::int32_t>(ctx_, {2}, std::vector<std::int32_t>{0, 2});
  EXPECT_THAT(values(ops::sparse_cross_entropy(ctx_, logits, labels)),
              Pointwise(DoubleNear(1e-12), {-std::log(p[0]), std::log(3.0)}));
  const double smooth = -(0.7 + 0.1) * std::log(p[0]) - 0.1 * (std::log(p[1]) + std::log(p[2]));
  EXPECT_THAT(values(ops::sparse_cross_entropy(ctx_, logits, labels, 0.3, of({3}, {2, 1, 5}))),
              Pointwise(DoubleNear(1e-12), {2 * smooth, 5 * std::log(3.0)}));
}

TEST_F(OpsTest, TurnsPixelsIntoNumbers) {
  const Tensor image =
      Tensor::from<std::uint8_t>(ctx_, {1, 1, 2, 3}, std::vector<std::uint8_t>{0, 1, 2, 253, 254, 255});
  const float scale[] = {1, 2, 4}, offset[] = {-1};
  EXPECT_THAT(ops::image_to_float(ctx_, image, scale, offset).to_vector<float>(ctx_),
              ElementsAre(-1, 1, 7, 252, 507, 1019));
  const Tensor wide = ops::resize_bilinear(ctx_, image, 1, 4);
  EXPECT_EQ(wide.spec(), (TensorSpec{{1, 1, 4, 3}, DType::f32}));
  EXPECT_THAT(wide.to_vector<float>(ctx_), ElementsAreArray({0.f, 1.f, 2.f, 63.25f, 64.25f, 65.25f, 189.75f,
                                                             190.75f, 191.75f, 253.f, 254.f, 255.f}));
}

}  // namespace
}  // namespace pila
