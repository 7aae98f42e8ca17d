// Gradients of everything but convolutions, by central differences.
#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "tests/support/gradcheck.h"

namespace pila {
namespace {

using test::check_gradients;
using test::check_second_gradients;
using test::Function;
using test::random_tensor;
using testing::HasSubstr;
using testing::ThrowsMessage;

class GradientTest : public testing::Test {
 protected:
  Tensor random(const Shape& shape, std::uint64_t seed, double low = -1, double high = 1) const {
    return random_tensor(ctx_, shape, seed, low, high);
  }
  // Distinct values at least 1/2 apart, in an order that is not sorted: far from ties.
  Tensor shuffled(const Shape& shape) const {
    std::vector<double> values(static_cast<std::size_t>(shape.elements()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.5 * static_cast<double>(i * 7919 % 10007);
    return Tensor::from(ctx_, shape, values);
  }

  const Context ctx_ = test::reference_context();
};

// 0.1 and more away from the kinks at 0 and 6.
TEST_F(GradientTest, OfActivations) {
  const Tensor x =
      Tensor::from<double>(ctx_, {2, 4}, std::vector<double>{-3, -0.1, 0.1, 2, 5.9, 6.1, 9, -0.7});
  for (const Activation kind :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    SCOPED_TRACE(static_cast<int>(kind));
    const Function f = [kind](const Context& run, std::span<const Tensor> in) {
      return ops::multiply(run, in[0], ops::activation(run, in[0], kind));
    };
    check_gradients(ctx_, f, {x});
    if (kind != Activation::silu) check_second_gradients(ctx_, f, {x});
  }
}

TEST_F(GradientTest, OfBroadcastOperands) {
  struct Pair {
    Shape a, b;
  };
  const Pair pairs[] = {{{2, 3}, {2, 3}},
                        {{2, 3}, {3}},
                        {{4, 1}, {2, 1, 3}},
                        {{}, {2, 3}},
                        {{2, 3, 4, 5}, {2, 1, 1, 5}},
                        {{2, 1, 3, 1}, {4, 1, 2}},
                        {{1}, {1, 1, 2}},
                        {{3, 1}, {1, 1}}};
  for (const auto& [a, b] : pairs) {
    SCOPED_TRACE(a.to_string() + b.to_string());
    for (const auto op : {&ops::add, &ops::subtract, &ops::multiply}) {
      const Function f = [op](const Context& run, std::span<const Tensor> in) {
        return op(run, in[0], in[1]);
      };
      check_gradients(ctx_, f, {random(a, 1), random(b, 2)});
    }
    check_second_gradients(
        ctx_, [](const Context& run, std::span<const Tensor> in) { return ops::multiply(run, in[0], in[1]); },
        {random(a, 1), random(b, 2)});
  }
}

TEST_F(GradientTest, OfASquare) {
  check_gradients(
      ctx_, [](const Context& run, std::span<const Tensor> in) { return ops::multiply(run, in[0], in[0]); },
      {random({5}, 1)});
}

TEST_F(GradientTest, OfAffineMaps) {
  check_gradients(
      ctx_, [](const Context& run, std::span<const Tensor> in) { return ops::affine(run, in[0], -2.5, 7); },
      {random({2, 3}, 1)});
}

TEST_F(GradientTest, OfCasts) {
  // By way of float32 values are rounded, so differences see steps of 1e-7: only the tape's answer is exact.
  const Tensor x = random({6}, 1);
  Tape tape;
  tape.watch(x);
  const Context recorded = ctx_.with_recorder(&tape);
  const Tensor y = ops::cast(recorded, ops::cast(recorded, x, DType::f32), DType::f64);
  const Gradients gradients = tape.backward(ctx_, ops::sum(recorded, ops::affine(recorded, y, 3)));
  EXPECT_THAT(gradients.of(x).to_vector<double>(ctx_), testing::Each(3));
}

TEST_F(GradientTest, OfBatchNormalisationInTraining) {
  for (const Activation kind :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    SCOPED_TRACE(static_cast<int>(kind));
    check_gradients(
        ctx_,
        [kind](const Context& run, std::span<const Tensor> in) {
          return ops::batch_norm_training(run, in[0], in[1], in[2], 1e-3, kind).y;
        },
        {random({2, 3, 2, 3}, 1, -2, 3), random({3}, 2, 0.5, 3), random({3}, 3)}, 1e-6);
  }
}

TEST_F(GradientTest, OfBatchNormalisationWithGivenStatistics) {
  const Tensor mean = random({3}, 4), variance = random({3}, 5, 0.5, 2);
  for (const Activation kind :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    SCOPED_TRACE(static_cast<int>(kind));
    check_gradients(
        ctx_,
        [&](const Context& run, std::span<const Tensor> in) {
          return ops::batch_norm_inference(run, in[0], in[1], in[2], mean, variance, 1e-3, kind);
        },
        {random({2, 3, 2, 3}, 1, -2, 3), random({3}, 2, 0.5, 3), random({3}, 3)}, 1e-6);
  }
}

TEST_F(GradientTest, OfDropout) {
  const Context training = ctx_.for_training(3, Tensor::full(ctx_, {{}, DType::i64}, 17));
  for (const bool per_sample : {false, true}) {
    check_gradients(training,
                    [per_sample](const Context& run, std::span<const Tensor> in) {
                      return ops::dropout(run, in[0], 0.4, 2, per_sample);
                    },
                    {random({6, 5}, 1)});
  }
}

TEST_F(GradientTest, OfBorders) {
  check_gradients(
      ctx_,
      [](const Context& run, std::span<const Tensor> in) { return ops::zero_pad(run, in[0], 1, 2, 0, 3); },
      {random({2, 3, 2, 2}, 1)});
  check_gradients(
      ctx_, [](const Context& run, std::span<const Tensor> in) { return ops::crop(run, in[0], 1, 2, 0, 3); },
      {random({2, 4, 5, 2}, 1)});
}

TEST_F(GradientTest, OfPooling) {
  for (const ops::PoolOptions options : {ops::PoolOptions{}, ops::PoolOptions{3, 2, ops::Padding::same},
                                         ops::PoolOptions{1, 2}, ops::PoolOptions{2, 1}}) {
    check_gradients(
        ctx_,
        [&](const Context& run, std::span<const Tensor> in) { return ops::max_pool(run, in[0], options); },
        {shuffled({2, 5, 4, 3})}, 1e-6);  // values to 5000 cost the differences four digits of 1e-10
  }
  check_gradients(
      ctx_,
      [](const Context& run, std::span<const Tensor> in) { return ops::global_average_pool(run, in[0]); },
      {random({2, 3, 4, 2}, 1)});
}

TEST_F(GradientTest, OfReductions) {
  for (const auto& [first, last] : {std::pair{0, 0}, {1, 1}, {2, 2}, {0, 1}, {1, 2}, {-3, -1}}) {
    SCOPED_TRACE(testing::Message() << first << " to " << last);
    for (const auto reduce : {&ops::reduce_sum, &ops::reduce_mean}) {
      const Function f = [&, from = first, to = last](const Context& run, std::span<const Tensor> in) {
        return reduce(run, ops::multiply(run, in[0], in[0]), from, to);
      };
      check_gradients(ctx_, f, {random({2, 3, 4}, 1)});
      check_second_gradients(ctx_, f, {random({2, 3, 4}, 1)});
    }
  }
  for (const auto reduce : {&ops::sum, &ops::mean}) {
    check_gradients(ctx_, [&](const Context& run, std::span<const Tensor> in) { return reduce(run, in[0]); },
                    {random({3, 2}, 1)});
  }
}

TEST_F(GradientTest, OfReshape) {
  check_gradients(ctx_,
                  [](const Context& run, std::span<const Tensor> in) {
                    return ops::multiply(run, ops::reshape(run, in[0], {3, 2}), in[1]);
                  },
                  {random({2, 3}, 1), random({3, 2}, 2)});
}

TEST_F(GradientTest, OfSoftmax) {
  check_gradients(ctx_,
                  [](const Context& run, std::span<const Tensor> in) { return ops::softmax(run, in[0]); },
                  {random({3, 5}, 1, -2, 2)});
}

TEST_F(GradientTest, OfCrossEntropy) {
  const Tensor labels = Tensor::from<std::int32_t>(ctx_, {4}, std::vector<std::int32_t>{0, 4, 2, 2});
  const Tensor weights = random({5}, 9, 0.5, 2);
  for (const double smoothing : {0.0, 0.1}) {
    for (const Tensor& class_weights : {Tensor(), weights}) {
      check_gradients(ctx_,
                      [&](const Context& run, std::span<const Tensor> in) {
                        return ops::sparse_cross_entropy(run, in[0], labels, smoothing, class_weights);
                      },
                      {random({4, 5}, 1, -2, 2)});
    }
  }
}

// A bottleneck in small: what is tested piece by piece also fits together.
TEST_F(GradientTest, OfAnInvertedResidual) {
  const Function block = [](const Context& run, std::span<const Tensor> in) {
    const ops::ConvOptions same{.padding = ops::Padding::same};
    Tensor y = ops::conv2d(run, in[0], in[1], {}, same);
    y = ops::batch_norm_training(run, y, in[2], in[3], 1e-3, Activation::relu6).y;
    y = ops::depthwise_conv2d(run, y, in[4], {}, same);
    y = ops::batch_norm_training(run, y, in[5], in[6], 1e-3, Activation::silu).y;
    return ops::add(run, in[0], ops::conv2d(run, y, in[7], {}, same));
  };
  check_gradients(ctx_, block,
                  {random({2, 3, 3, 2}, 1), random({1, 1, 2, 6}, 2), random({6}, 3, 1, 2), random({6}, 4),
                   random({3, 3, 6, 1}, 5), random({6}, 6, 1, 2), random({6}, 7), random({1, 1, 6, 2}, 8)},
                  1e-6);
}

class NoGradientTest : public GradientTest {
 protected:
  // The way back from the sum of f(x), with what lies behind it recorded too.
  void backward_twice(const Function& f, const Tensor& x) const {
    Tape outer;
    outer.watch(x);
    const Context recorded = ctx_.with_recorder(&outer);
    const auto gradient = test::tape_gradients(recorded, f, {&x, 1}, {&x, 1});
    outer.backward(ctx_, ops::sum(recorded, ops::multiply(recorded, gradient[0], gradient[0])));
  }
};

TEST_F(NoGradientTest, OfSecondDerivativesThatAreNotWritten) {
  const Tensor gamma = random({3}, 1, 1, 2), beta = random({3}, 2);
  EXPECT_THAT(([&] {
                backward_twice(
                    [&](const Context& run, std::span<const Tensor> in) {
                      return ops::batch_norm_training(run, in[0], gamma, beta, 1e-3).y;
                    },
                    random({4, 3}, 3));
              }),
              ThrowsMessage<UsageError>(HasSubstr("[batch_norm_backward]")));
  EXPECT_THAT(([&] {
                backward_twice(
                    [](const Context& run, std::span<const Tensor> in) {
                      return ops::max_pool(run, ops::multiply(run, in[0], in[0]), {});
                    },
                    random({1, 4, 4, 1}, 3));
              }),
              ThrowsMessage<UsageError>(HasSubstr("[max_pool_backward]")));
  EXPECT_THAT(([&] {
                backward_twice(
                    [](const Context& run, std::span<const Tensor> in) {
                      return ops::activation(run, in[0], Activation::silu);
                    },
                    random({4}, 3));
              }),
              ThrowsMessage<UsageError>(HasSubstr("[activation_backward] the gradient of silu's slope")));
  EXPECT_THAT(([&] {
                backward_twice(
                    [](const Context& run, std::span<const Tensor> in) { return ops::softmax(run, in[0]); },
                    random({2, 3}, 3));
              }),
              ThrowsMessage<UsageError>(HasSubstr("[softmax_backward]")));
  const Tensor labels = Tensor::zeros(ctx_, {{2}, DType::i32});
  EXPECT_THAT(([&] {
                backward_twice(
                    [&](const Context& run, std::span<const Tensor> in) {
                      return ops::sparse_cross_entropy(run, in[0], labels);
                    },
                    random({2, 3}, 3));
              }),
              ThrowsMessage<UsageError>(HasSubstr("[sparse_cross_entropy_backward]")));
}

TEST_F(NoGradientTest, OfStatisticsAndClassWeights) {
  const Tensor c = random({3}, 1, 1, 2), x = random({4, 3}, 2);
  const auto gradient_by = [&](const Tensor& watched, const Function& f) {
    return [&, f] { test::tape_gradients(ctx_, f, {}, {&watched, 1}); };
  };
  EXPECT_THAT(
      gradient_by(c,
                  [&](const Context& run, std::span<const Tensor>) {
                    return ops::batch_norm_inference(run, x, random({3}, 4), random({3}, 5), c,
                                                     random({3}, 6, 1, 2), 1e-3);
                  }),
      ThrowsMessage<UsageError>(HasSubstr("[batch_norm_inference] the gradient of given statistics")));
  EXPECT_THAT(
      gradient_by(x,
                  [&](const Context& run, std::span<const Tensor>) {
                    return ops::batch_norm_training(run, x, c, c, 1e-3).mean;
                  }),
      ThrowsMessage<UsageError>(HasSubstr("[batch_norm_training] the gradient of the batch's statistics")));
  EXPECT_THAT(
      gradient_by(c,
                  [&](const Context& run, std::span<const Tensor>) {
                    return ops::sparse_cross_entropy(run, x, Tensor::zeros(run, {{4}, DType::i32}), 0, c);
                  }),
      ThrowsMessage<UsageError>(HasSubstr("[sparse_cross_entropy] the gradient of class weights")));
  EXPECT_THAT(gradient_by(x,
                          [&](const Context& run, std::span<const Tensor>) {
                            return ops::cast(
                                run, ops::resize_bilinear(run, ops::reshape(run, x, {1, 4, 3, 1}), 2, 2),
                                DType::f64);
                          }),
              ThrowsMessage<UsageError>(HasSubstr("[resize_bilinear]")));
}

}  // namespace
}  // namespace pila
