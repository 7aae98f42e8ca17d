#include "engine/plan/plan.h"

#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "tests/engine/plan_net.h"
#include "tests/support/compare.h"
#include "tests/support/count_allocations.h"
#include "tests/support/needs_bfloat16.h"

namespace pila {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class PlanTest : public testing::Test {
 protected:
  const Context ctx_{Device::cpu(2)};
  test::PlanNet net_{ctx_};
  const Tensor pixels_ = net_.pixels();
  const std::vector<float> eager_ = net_.forward(ctx_, pixels_).to_vector<float>(ctx_);
};

TEST_F(PlanTest, RunsAgainAndAgain) {
  const Session session(Plan::build(ctx_, net_.trace()));
  const auto first = test::run_once(ctx_, session, pixels_);
  EXPECT_TRUE(test::close_each(first, eager_, 1e-5));
  const auto other = test::run_once(ctx_, session, net_.pixels(5));
  EXPECT_FALSE(test::same_bits(first, other));
  EXPECT_TRUE(test::same_bits(test::run_once(ctx_, session, pixels_), first));
  session.run();
  EXPECT_TRUE(test::same_bits(session.output().to_vector<float>(ctx_), first)) << "the input stays";
}

TEST_F(PlanTest, AllocatesNothingWhileRunning) {
  const Session session(Plan::build(ctx_, net_.trace()));
  session.input().assign(ctx_, pixels_);
  session.run();
  const auto requests = ctx_.device()->allocator().statistics().requests;
  const std::size_t before = test::allocations_of_this_thread();
  for (int i = 0; i < 3; ++i) session.run();
  EXPECT_EQ(test::allocations_of_this_thread(), before);
  EXPECT_EQ(ctx_.device()->allocator().statistics().requests, requests);
}

TEST_F(PlanTest, RunsInParts) {
  const auto plan = Plan::build(ctx_, net_.trace());
  const Session whole(plan), session(plan, {.parts = 3});
  std::vector<std::uint8_t> pixels;
  std::vector<float> expected;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Tensor part = net_.pixels(seed);
    for (const std::uint8_t value : part.to_vector<std::uint8_t>(ctx_)) pixels.push_back(value);
    for (const float value : test::run_once(ctx_, whole, part)) expected.push_back(value);
  }
  EXPECT_EQ(session.input().shape()[0], 3 * pixels_.shape()[0]);
  session.input().assign<std::uint8_t>(ctx_, pixels);
  const std::size_t before = test::allocations_of_this_thread();
  session.run();
  EXPECT_EQ(test::allocations_of_this_thread(), before);
  EXPECT_TRUE(test::same_bits(session.output().to_vector<float>(ctx_), expected));
  session.output().assign<float>(ctx_, std::vector<float>(expected.size()));
  EXPECT_EQ(session.run_timed().size(), plan->graph().nodes().size());
  EXPECT_TRUE(test::same_bits(session.output().to_vector<float>(ctx_), expected)) << "timed";
}

TEST_F(PlanTest, OutlivesTheModelItWasMadeFrom) {
  std::shared_ptr<const Plan> plan;
  {
    test::PlanNet net(ctx_);
    plan = Plan::build(ctx_, net.trace());
  }
  EXPECT_TRUE(test::close_each(test::run_once(ctx_, Session(plan), pixels_), eager_, 1e-5));
}

TEST_F(PlanTest, SaysWhatItDid) {
  const auto plan = Plan::build(ctx_, net_.trace(), {.without = {"fuse-pooling"}});
  const std::string text = plan->explain();
  EXPECT_THAT(text, HasSubstr("pass fold-batch-norm: 5\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("pass fuse-pooling")));
  EXPECT_THAT(text, HasSubstr("uint8[2, 9, 9, 3] to float32[2, 5, 5, 8]"));
  EXPECT_THAT(text, HasSubstr(std::to_string(plan->session_bytes()) + " bytes a session"));
}

TEST_F(PlanTest, NeedsLessMemoryThanAllValuesTogether) {
  const auto fused = Plan::build(ctx_, net_.trace());
  const auto unfused = Plan::build(ctx_, net_.trace(), {.without = {"fuse-inverted-residual"}});
  std::size_t all = 0;
  for (const Node& node : unfused->graph().nodes()) {
    for (const ValueId id : node.outputs) {
      all += static_cast<std::size_t>(unfused->graph().value(id).spec.shape.elements()) * sizeof(float);
    }
  }
  EXPECT_LT(unfused->session_bytes() - unfused->workspace_bytes(), all);
  EXPECT_LT(fused->session_bytes() - fused->workspace_bytes(),
            unfused->session_bytes() - unfused->workspace_bytes());
}

TEST_F(PlanTest, TimesItsNodes) {
  const auto plan = Plan::build(ctx_, net_.trace());
  EXPECT_EQ(Session(plan).run_timed().size(), plan->graph().nodes().size());
}

TEST_F(PlanTest, RefusesUnknownPasses) {
  EXPECT_THAT([&] { Plan::build(ctx_, net_.trace(), {.without = {"fold-everything"}}); },
              ThrowsMessage<UsageError>(HasSubstr("fuse-padding, ")));
}

// The net's factors are up to 0.5 large and its sums a few dozen long; rounding each to 8 bits moves its
// probabilities by less than 1%.
constexpr double kBFloat16Tolerance = 1e-2;

TEST_F(PlanTest, RunsInBFloat16WhateverIsFused) {
  PILA_NEEDS_BFLOAT16();
  for (const char* without : {"prepare-weights", "fuse-inverted-residual", "fuse-pooling"}) {
    const auto plan = Plan::build(ctx_, net_.trace(), {.without = {without}, .precision = Precision::bf16});
    const auto rounded = test::run_once(ctx_, Session(plan), pixels_);
    EXPECT_TRUE(test::close_each(rounded, eager_, kBFloat16Tolerance)) << without;
    EXPECT_GT(test::max_abs_error(rounded, eager_), 1e-5) << without << ": nothing was rounded";
  }
}

TEST_F(PlanTest, InBFloat16GivesTheSameBitsAtAnyNumberOfThreads) {
  PILA_NEEDS_BFLOAT16();
  std::vector<float> once;
  for (const int threads : {1, 2, 3}) {
    const Context ctx(Device::cpu(threads));
    test::PlanNet net(ctx);
    const Session session(Plan::build(ctx, net.trace(), {.precision = Precision::bf16}));
    const auto values = test::run_once(ctx, session, net.pixels());
    if (once.empty()) once = values;
    EXPECT_TRUE(test::same_bits(values, once)) << threads << " threads";
  }
}

TEST_F(PlanTest, NamesItsKernelsForBFloat16AndHalvesTheirWeights) {
  PILA_NEEDS_BFLOAT16();
  const auto plan = Plan::build(ctx_, net_.trace(), {.precision = Precision::bf16});
  const std::string text = plan->explain();
  EXPECT_THAT(text, HasSubstr("pass lower-precision: 5\n"));
  EXPECT_THAT(text, HasSubstr("; image_conv_bf16 (prepared weights)"));
  EXPECT_THAT(text, HasSubstr("; inverted_residual_bf16 (prepared weights)"));
  EXPECT_THAT(text, HasSubstr("; pooled_matmul_bf16 (prepared weights)"));
  EXPECT_THAT(text, HasSubstr("; matmul_bf16 (prepared weights)"));
  EXPECT_LT(plan->prepared_bytes(), Plan::build(ctx_, net_.trace())->prepared_bytes());
}

TEST_F(PlanTest, TheReferenceRoundsToo) {
  const Context ctx(Device::reference());
  test::PlanNet net(ctx);
  const Session session(Plan::build(ctx, net.trace(), {.precision = Precision::bf16}));
  const auto rounded = test::run_once(ctx, session, net.pixels());
  EXPECT_TRUE(test::close_each(rounded, eager_, kBFloat16Tolerance));
  EXPECT_GT(test::max_abs_error(rounded, eager_), 1e-5);
}

TEST_F(PlanTest, RefusesInt8WithoutRangesAndBFloat16WithoutTheProcessor) {
  EXPECT_THAT([&] { Plan::build(ctx_, net_.trace(), {.precision = Precision::i8}); },
              ThrowsMessage<UsageError>(HasSubstr("expected ranges of the network's products")));
  kernels::KernelTable table = kernels::cpu::table();
  table.lacks_bf16 = "AVX-512 BF16";
  const Context older(std::make_shared<Device>("cpu", kernels::cpu::create_device_api(), table, 1));
  test::PlanNet net(older);
  EXPECT_THAT([&] { Plan::build(older, net.trace(), {.precision = Precision::bf16}); },
              ThrowsMessage<UsageError>(HasSubstr("expected a processor with AVX-512 BF16")));
}

TEST_F(PlanTest, RefusesComputationsThatOverwriteTheirInputs) {
  const Tensor average = Tensor::zeros(ctx_, {{3}, DType::f32});
  const TensorSpec input{{3}, DType::f32};
  Graph graph = trace(ctx_, {&input, 1}, [&](const Context& ctx, std::span<const Tensor> inputs) {
    ops::moving_average(ctx, average, inputs[0], 0.9);
    return std::vector{inputs[0]};
  });
  EXPECT_THAT([&] { Plan::build(ctx_, graph); },
              ThrowsMessage<UsageError>(HasSubstr("moving_average of '' overwrites")));
}

TEST_F(PlanTest, NamesTheLayerThatADeviceHasNoKernelFor) {
  const Tensor kernel = Tensor::zeros(ctx_, {{3, 4}, DType::f16});
  const TensorSpec input{{2, 3}, DType::f16};
  const WeightNames names = {{kernel.id(), "predictions"}};
  Graph graph = trace(
      ctx_, {&input, 1},
      [&](const Context& ctx, std::span<const Tensor> inputs) {
        return std::vector{ops::dense(ctx, inputs[0], kernel, {})};
      },
      names);
  EXPECT_THAT([&] { Plan::build(ctx_, graph); },
              ThrowsMessage<Error>(HasSubstr("predictions: [matmul] device cpu has no kernel for")));
}

TEST_F(PlanTest, TracingRefusesReadingValues) {
  const TensorSpec input{{3}, DType::f32};
  EXPECT_THROW(trace(ctx_, {&input, 1},
                     [&](const Context& ctx, std::span<const Tensor> inputs) {
                       (void)inputs[0].to_vector<float>(ctx);
                       return std::vector{inputs[0]};
                     }),
               UsageError);
}

TEST_F(PlanTest, GivesAnInputOrAViewOfOneAsItsOutput) {
  const TensorSpec input{{2, 3}, DType::f32};
  Graph graph = trace(ctx_, {&input, 1}, [&](const Context& ctx, std::span<const Tensor> inputs) {
    return std::vector{ops::reshape(ctx, inputs[0], {6}), inputs[0]};
  });
  const Session session(Plan::build(ctx_, graph));
  session.input().assign(ctx_, Tensor::full(ctx_, input, 3));
  session.run();
  EXPECT_EQ(session.output(0).to_vector<float>(ctx_), std::vector<float>(6, 3));
  EXPECT_EQ(session.output(1).shape(), (Shape{2, 3}));
}

}  // namespace
}  // namespace pila
