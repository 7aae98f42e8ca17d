// Segments that are computed again on the way back: the same numbers from less memory.
#include "engine/autograd/recompute.h"

#include <gmock/gmock.h>

#include <array>

#include "engine/core/error.h"
#include "tests/engine/recorders.h"
#include "tests/support/compare.h"
#include "tests/support/gradcheck.h"

namespace pila {
namespace {

using test::check_gradients;
using test::check_second_gradients;
using test::Function;
using test::random_tensor;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

Function recomputing(const Segment& segment) {
  return [segment](const Context& ctx, std::span<const Tensor> inputs) {
    return recomputed(ctx, inputs, segment);
  };
}

// Of an image [n, h, w, 2], a kernel, gamma and beta.
Tensor normalised_convolution(const Context& ctx, std::span<const Tensor> in) {
  const Tensor y = ops::conv2d(ctx, in[0], in[1], {}, {.padding = ops::Padding::same});
  const Tensor z = ops::batch_norm_training(ctx, y, in[2], in[3], 1e-3, Activation::silu).y;
  return ops::add(ctx, in[0], z);
}

class RecomputeTest : public testing::Test {
 protected:
  Tensor of(const std::vector<double>& values) const {
    return Tensor::from(ctx_, {static_cast<std::int64_t>(values.size())}, values);
  }
  std::vector<double> values(const Tensor& x) const { return x.to_vector<double>(ctx_); }
  std::vector<Tensor> image_and_parameters() const {
    return {random_tensor(ctx_, {2, 4, 3, 2}, 1), random_tensor(ctx_, {3, 3, 2, 2}, 2),
            random_tensor(ctx_, {2}, 3, 0.5, 2), random_tensor(ctx_, {2}, 4)};
  }

  const Context ctx_ = test::reference_context();
  Tape tape_;
  const Context recorded_ = ctx_.with_recorder(&tape_);
};

TEST_F(RecomputeTest, GradientsAreThoseOfDifferences) {
  check_gradients(ctx_, recomputing(normalised_convolution), image_and_parameters(), 1e-6);
}

TEST_F(RecomputeTest, SecondGradientsToo) {
  const Segment segment = [](const Context& ctx, std::span<const Tensor> in) {
    return ops::multiply(ctx, ops::activation(ctx, in[0], Activation::sigmoid), in[1]);
  };
  check_second_gradients(ctx_, recomputing(segment),
                         {random_tensor(ctx_, {5}, 1), random_tensor(ctx_, {5}, 2)});
}

// With whatever part of the inputs is watched, two segments deep.
TEST_F(RecomputeTest, ValuesAndGradientsHaveTheBitsOfTheSegment) {
  const Function twice = [](const Context& ctx, std::span<const Tensor> in) {
    const Tensor y = recomputed(ctx, in, normalised_convolution);
    return recomputed(ctx, std::array{y, in[1], in[2], in[3]}, normalised_convolution);
  };
  const Function plain = [](const Context& ctx, std::span<const Tensor> in) {
    const Tensor y = normalised_convolution(ctx, in);
    return normalised_convolution(ctx, std::array{y, in[1], in[2], in[3]});
  };
  const std::vector<Tensor> inputs = image_and_parameters();
  for (unsigned some = 1; some < 16; ++some) {
    SCOPED_TRACE(some);
    std::vector<Tensor> watched;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if ((some >> i & 1u) != 0) watched.push_back(inputs[i]);
    }
    const auto expected = test::tape_gradients(ctx_, plain, inputs, watched);
    const auto found = test::tape_gradients(ctx_, twice, inputs, watched);
    for (std::size_t i = 0; i < watched.size(); ++i) {
      EXPECT_TRUE(test::same_bits(values(found[i]), values(expected[i])));
    }
  }
  EXPECT_TRUE(test::same_bits(values(twice(recorded_, inputs)), values(plain(ctx_, inputs))));
}

// A segment inside of a segment, which drops elements and moves an average.
TEST_F(RecomputeTest, RepeatsTheSameDrawsAndMovesAveragesOnce) {
  const Tensor x = random_tensor(ctx_, {50}, 1), w = random_tensor(ctx_, {50}, 2);
  const auto train = [&](bool recomputes) {
    const Tensor average = Tensor::zeros(ctx_, {{50}, DType::f64});
    int runs = 0;
    const Segment inner = [&](const Context& ctx, std::span<const Tensor> in) {
      ++runs;
      const Tensor y = ops::dropout(ctx, ops::multiply(ctx, in[0], in[1]), 0.5, 3);
      if (!ctx.repeats()) ops::moving_average(ctx, average, y, 0.5);
      return y;
    };
    const Segment outer = [&](const Context& ctx, std::span<const Tensor> in) {
      const Tensor y = recomputes ? recomputed(ctx, in, inner) : inner(ctx, in);
      return ops::multiply(ctx, y, y);
    };
    std::vector<std::vector<double>> results;
    for (std::int64_t step = 0; step < 3; ++step) {
      tape_.watch(w);
      const Context training =
          recorded_.for_training(7, Tensor::from(ctx_, {}, std::vector<std::int64_t>{step}));
      const std::array inputs = {x, w};
      const Tensor y = recomputes ? recomputed(training, inputs, outer) : outer(training, inputs);
      const Tensor loss = ops::sum(training, y);
      results.push_back(values(loss));
      results.push_back(values(tape_.backward(ctx_, loss).of(w)));  // without what was trained with
      results.push_back(values(average));
    }
    EXPECT_EQ(runs, recomputes ? 9 : 3);
    return results;
  };
  const auto expected = train(false);
  EXPECT_NE(expected[1], expected[4]) << "other elements in each step";
  EXPECT_EQ(train(true), expected);
}

TEST_F(RecomputeTest, RecordsOneOperationWhereSomethingIsWatched) {
  const std::vector<Tensor> inputs = image_and_parameters();
  recomputed(recorded_, inputs, normalised_convolution);
  EXPECT_EQ(tape_.size(), 0u);
  tape_.watch(inputs[1]);
  const Tensor y = recomputed(recorded_, inputs, normalised_convolution);
  EXPECT_EQ(tape_.size(), 1u);
  const Gradients gradients = tape_.backward(ctx_, ops::sum(recorded_, y));
  EXPECT_TRUE(gradients.of(inputs[1]));
  EXPECT_FALSE(gradients.of(inputs[0]));
}

TEST_F(RecomputeTest, KeepsInputsAlone) {
  const Allocator& allocator = ctx_.device()->allocator();
  const Tensor x = Tensor::full(ctx_, {{1 << 14}, DType::f64}, 0.5);
  const Segment segment = [](const Context& ctx, std::span<const Tensor> in) {
    Tensor y = in[0];
    for (int layer = 0; layer < 5; ++layer) y = ops::activation(ctx, y, Activation::sigmoid);
    return y;
  };
  tape_.watch(x);
  constexpr std::size_t kSegments = 10;
  const std::size_t before = allocator.statistics().bytes_in_use;
  Tensor y = x;
  for (std::size_t i = 0; i < kSegments; ++i) y = recomputed(recorded_, {&y, 1}, segment);
  EXPECT_LE(allocator.statistics().bytes_in_use, before + kSegments * x.bytes() + 1024);
  const Tensor loss = ops::sum(recorded_, y);
  y = Tensor();
  tape_.backward(ctx_, loss);
  // The segments' inputs, what one of them keeps, and its gradients.
  EXPECT_LE(allocator.statistics().peak_bytes_in_use, before + (kSegments + 5 + 3) * x.bytes() + 1024);
  EXPECT_LE(allocator.statistics().bytes_in_use, before + 1024);
}

TEST_F(RecomputeTest, NoticesInputsThatWereOverwritten) {
  const Tensor x = of({1, 2}), w = of({3, 4});
  tape_.watch(x);
  const Tensor y = recomputed(recorded_, std::array{x, w},
                              [](const Context& ctx, auto in) { return ops::multiply(ctx, in[0], in[1]); });
  w.assign<double>(ctx_, std::vector<double>{0, 0});
  EXPECT_THAT([&] { tape_.backward(ctx_, ops::sum(recorded_, y)); },
              ThrowsMessage<UsageError>(HasSubstr("the gradient of recomputed needs was overwritten")));
}

TEST_F(RecomputeTest, AddsTheGradientsOfAnInputThatIsGivenTwice) {
  const Tensor x = of({1, 2});
  tape_.watch(x);
  const Tensor y = recomputed(recorded_, std::array{x, x},
                              [](const Context& ctx, auto in) { return ops::multiply(ctx, in[0], in[1]); });
  EXPECT_THAT(values(tape_.backward(ctx_, ops::sum(recorded_, y)).of(x)), ElementsAre(2, 4));
}

TEST_F(RecomputeTest, GivesNoGradientOfWhatItDoesNotDependOn) {
  const Tensor x = of({1, 2}), w = of({3, 4});
  tape_.watch(x);
  tape_.watch(w);
  const Tensor y = recomputed(
      recorded_, {&x, 1}, [](const Context& ctx, auto in) { return ops::affine(ctx.no_grad(), in[0], 2); });
  const Gradients gradients = tape_.backward(ctx_, ops::sum(recorded_, ops::multiply(recorded_, y, w)));
  EXPECT_FALSE(gradients.of(x));
  EXPECT_THAT(values(gradients.of(w)), ElementsAre(2, 4));
}

TEST_F(RecomputeTest, IsTracedAsTheSegment) {
  test::TracingRecorder tracing;
  const Tensor x = Tensor::symbolic({{2}, DType::f64});
  recomputed(ctx_.with_recorder(&tracing), {&x, 1}, [](const Context& ctx, auto in) {
    return ops::affine(ctx, ops::activation(ctx, in[0], Activation::sigmoid), 2);
  });
  EXPECT_THAT(tracing.names(), ElementsAre("activation", "affine"));
}

TEST_F(RecomputeTest, WhatIsRecordedCanBeApplied) {
  test::ListingRecorder listing;
  const std::vector<Tensor> inputs = image_and_parameters();
  const Tensor y = recomputed(ctx_.with_recorder(&listing), inputs, normalised_convolution);
  ASSERT_THAT(listing.names(), ElementsAre("recomputed"));
  const auto again = apply(ctx_, listing.entries[0].op, inputs);
  EXPECT_TRUE(test::same_bits(values(again[0]), values(y)));
}

TEST_F(RecomputeTest, RefusesMoreInputsThanItCanKeep) {
  const Segment first = [](const Context&, std::span<const Tensor> in) { return in[0]; };
  EXPECT_THAT([&] { recomputed(ctx_, std::vector<Tensor>(33, of({1})), first); },
              ThrowsMessage<UsageError>(HasSubstr("at most 32 inputs, got 33")));
}

}  // namespace
}  // namespace pila
