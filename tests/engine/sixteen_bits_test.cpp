// Plans in float16 and bfloat16 on a device that stores those types: the CUDA kernels in emulation.
#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "engine/plan/pass.h"
#include "tests/engine/plan_net.h"
#include "tests/simt/memory.h"
#include "tests/simt/table.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::shared_ptr<Device> storing_device() {
  return std::make_shared<Device>("emulated", simt::create_device_api(), simt::table(), 1);
}

// A dozen roundings of activations, each off by up to half a unit, on the way to probabilities of up to 1.
double tolerance(Precision precision) { return precision == Precision::f16 ? 2e-3 : 1.6e-2; }

class SixteenBitsTest : public testing::TestWithParam<Precision> {
 protected:
  const Context ctx_{storing_device()};
  test::PlanNet net_{ctx_};
  const Tensor pixels_ = net_.pixels();
  const std::vector<float> exact_ = net_.forward(ctx_, pixels_).to_vector<float>(ctx_);
  const DType type_ = GetParam() == Precision::f16 ? DType::f16 : DType::bf16;

  std::shared_ptr<const Plan> plan(std::vector<std::string> without = {}) {
    return Plan::build(ctx_, net_.trace(), {.without = std::move(without), .precision = GetParam()});
  }
};

TEST_P(SixteenBitsTest, AddsOneOperationToThePlan) {
  const auto built = plan();
  EXPECT_THAT(test::op_names(built->graph()),
              ElementsAre("image_conv2d", "inverted_residual", "pooled_matmul", "matmul", "cast", "softmax"));
  EXPECT_THAT(built->explain(), HasSubstr("pass store-16-bits: 7\n"));
}

TEST_P(SixteenBitsTest, StoresAllButBiasesInTheType) {
  const auto built = plan();
  const Graph& graph = built->graph();
  for (const Node& node : graph.nodes()) {
    if (node.op->name() == "softmax") continue;
    for (const ValueId id : node.inputs) {
      const TensorSpec& spec = graph.value(id).spec;
      if (spec.type == DType::u8) continue;
      EXPECT_EQ(spec.type, spec.shape.rank() == 1 ? DType::f32 : type_) << node.name << spec.to_string();
    }
  }
  EXPECT_EQ(graph.value(graph.outputs()[0]).spec.type, DType::f32);
}

TEST_P(SixteenBitsTest, AnswersAsFloat32DoesWhateverIsFused) {
  for (const char* without :
       {"capture-work", "prepare-weights", "fuse-pixels", "fold-batch-norm", "fuse-padding",
        "fuse-activation", "fuse-residual", "fuse-inverted-residual", "fuse-pooling", "drop-identity"}) {
    const auto rounded = test::run_once(ctx_, Session(plan({without})), pixels_);
    EXPECT_TRUE(test::close_each(rounded, exact_, tolerance(GetParam()))) << without;
    EXPECT_GT(test::max_abs_error(rounded, exact_), 1e-6) << without << ": nothing was rounded";
  }
}

TEST_P(SixteenBitsTest, TakesImagesInFloat32AndGivesFloat32) {
  const TensorSpec input{{2, 4, 4, 3}, DType::f32};
  const Tensor kernel = net_.weight({1, 1, 3, 5});
  const auto run = [&](const Context& ctx, std::span<const Tensor> inputs) {
    const Tensor y = ops::conv2d(ctx, inputs[0], kernel, {}, {});
    return std::vector{y, ops::global_average_pool(ctx, y), inputs[0]};
  };
  const auto built = Plan::build(ctx_, trace(ctx_, {&input, 1}, run), {.precision = GetParam()});
  EXPECT_THAT(test::op_names(built->graph()), ElementsAre("cast", "matmul", "reduce_mean", "cast", "cast"));
  for (const ValueId id : built->graph().outputs()) {
    EXPECT_EQ(built->graph().value(id).spec.type, DType::f32);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, SixteenBitsTest, testing::Values(Precision::f16, Precision::bf16),
                         [](const auto& test) { return to_string(test.param); });

TEST(SixteenBits, IsLeftOutOnRequest) {
  const Context ctx(storing_device());
  test::PlanNet net(ctx);
  const auto plan =
      Plan::build(ctx, net.trace(), {.without = {"store-16-bits"}, .precision = Precision::f16});
  EXPECT_THAT(test::op_names(plan->graph()), testing::Not(Contains("cast")));
}

TEST(SixteenBits, PrecisionsAreThoseOfTheDevice) {
  const Context storing(storing_device()), cpu(Device::cpu(1));
  test::PlanNet net(storing), cpu_net(cpu);
  const PlanOptions int8{.precision = Precision::i8, .ranges = {{"expand", {0, 1}}}};
  EXPECT_THAT(
      [&] { Plan::build(storing, net.trace(), int8); },
      ThrowsMessage<UsageError>(
          AllOf(HasSubstr("float32, tf32, bfloat16 or float16 on device emulated"), HasSubstr("got int8"))));
  EXPECT_THAT([&] { Plan::build(cpu, cpu_net.trace(), {.precision = Precision::f16}); },
              ThrowsMessage<UsageError>(
                  AllOf(HasSubstr("float32, bfloat16 or int8 on device cpu"), HasSubstr("got float16"))));
}

// Of convolutions, those that are not depthwise; nothing is stored in less.
TEST(Tf32, RoundsTheFactorsOfProductsAlone) {
  const Context ctx(storing_device());
  test::PlanNet net(ctx);
  const auto plan = Plan::build(
      ctx, net.trace(),
      {.without = {"fuse-inverted-residual", "fuse-pooling", "fuse-pixels"}, .precision = Precision::tf32});
  EXPECT_THAT(test::op_names(plan->graph()), testing::Not(Contains("cast")));
  int products = 0, convolutions = 0;
  for (const Node& node : plan->graph().nodes()) {
    if (const auto matmul = attributes_of<ops::MatmulAttributes>(&node)) {
      EXPECT_EQ(matmul->rounding.to, Precision::tf32);
      ++products;
    }
    if (const auto conv = attributes_of<ops::ConvAttributes>(&node)) {
      EXPECT_EQ(conv->rounding, conv->depthwise ? Precision::f32 : Precision::tf32);
      ++convolutions;
    }
  }
  EXPECT_GT(products, 0);
  EXPECT_GT(convolutions, 1);
  EXPECT_THROW(Plan::build(Context(Device::cpu(1)), test::PlanNet(Context(Device::cpu(1))).trace(),
                           {.precision = Precision::tf32}),
               UsageError);
}

TEST(SixteenBits, BiasesOfProductsStayInFloat32) {
  const Context ctx(storing_device());
  const auto f16 = [&](const Shape& shape) {
    return ops::cast(ctx, Tensor::full(ctx, {shape, DType::f32}, 1), DType::f16);
  };
  EXPECT_EQ(ops::dense(ctx, f16({2, 3}), f16({3, 4}), Tensor::full(ctx, {{4}, DType::f32}, 1)).type(),
            DType::f16);
  EXPECT_THROW(ops::dense(ctx, f16({2, 3}), f16({3, 4}), f16({4})), ShapeError);
}

}  // namespace
}  // namespace pila
