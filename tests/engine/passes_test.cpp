// Each pass alone and all together: what it leaves of a graph, and that results stay what they were.
#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "engine/plan/pass.h"
#include "tests/engine/plan_net.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

// Folding multiplies weights before the sums instead of sums behind them: rounding of a few float32
// operations on probabilities.
constexpr double kTolerance = 1e-5;

std::shared_ptr<const Pass> pass_named(std::string_view name) {
  for (const auto& pass : inference_passes()) {
    if (pass->name() == name) return pass;
  }
  throw UsageError("no pass " + std::string(name));
}

std::vector<std::string> all_pass_names() {
  std::vector<std::string> names;
  for (const auto& pass : inference_passes()) names.emplace_back(pass->name());
  return names;
}

class PassesTest : public testing::Test {
 protected:
  const Context ctx_{Device::cpu(2)};
  test::PlanNet net_{ctx_};

  Graph after(std::initializer_list<const char*> passes) {
    Graph graph = net_.trace();
    for (const char* pass : passes) places_ = pass_named(pass)->run(ctx_, graph);
    return graph;
  }

  std::size_t places_ = 0;  // that the last pass changed
};

TEST_F(PassesTest, TracingWritesDownTheForwardPass) {
  EXPECT_THAT(test::op_names(net_.trace()),
              ElementsAre("image_to_float", "zero_pad", "conv2d", "batch_norm_inference", "activation",
                          "matmul", "batch_norm_inference", "depthwise_conv2d", "batch_norm_inference",
                          "matmul", "batch_norm_inference", "add", "affine", "matmul", "batch_norm_inference",
                          "reduce_mean", "matmul", "softmax"));
}

TEST_F(PassesTest, AllTogetherLeaveFiveOperations) {
  const auto plan = Plan::build(ctx_, net_.trace());
  EXPECT_THAT(test::op_names(plan->graph()),
              ElementsAre("image_conv2d", "inverted_residual", "pooled_matmul", "matmul", "softmax"));
}

TEST_F(PassesTest, DropIdentity) {
  EXPECT_THAT(test::op_names(after({"drop-identity"})), Not(Contains("affine")));
  EXPECT_EQ(places_, 1u);
}

TEST_F(PassesTest, FusePadding) {
  const Graph graph = after({"fuse-padding"});
  EXPECT_THAT(test::op_names(graph), Not(Contains("zero_pad")));
  EXPECT_EQ(places_, 1u);
}

TEST_F(PassesTest, FoldBatchNorm) {
  EXPECT_THAT(test::op_names(after({"fold-batch-norm"})), Not(Contains("batch_norm_inference")));
  EXPECT_EQ(places_, 5u);
}

TEST_F(PassesTest, FuseActivation) {
  EXPECT_THAT(test::op_names(after({"fuse-activation"})), Not(Contains("activation")));
  EXPECT_EQ(places_, 1u);
}

TEST_F(PassesTest, FuseResidualWaitsForFoldedNormalisation) {
  EXPECT_THAT(test::op_names(after({"fuse-residual"})), Contains("add"));
  EXPECT_THAT(test::op_names(after({"fold-batch-norm", "fuse-residual"})), Not(Contains("add")));
  EXPECT_EQ(places_, 1u);
}

TEST_F(PassesTest, FusePixels) {
  EXPECT_THAT(test::op_names(after({"fuse-padding", "fuse-pixels"})), Contains("image_conv2d"));
  EXPECT_EQ(places_, 1u);
  after({"fuse-pixels"});
  EXPECT_EQ(places_, 0u) << "padding stands between";
}

TEST_F(PassesTest, FuseInvertedResidual) {
  EXPECT_THAT(test::op_names(after({"fold-batch-norm", "fuse-residual", "fuse-inverted-residual"})),
              Contains("inverted_residual").Times(1));
  EXPECT_THAT(test::op_names(after({"fold-batch-norm", "fuse-inverted-residual"})), Contains("add"))
      << "without its residual";
}

TEST_F(PassesTest, FusePooling) {
  EXPECT_THAT(test::op_names(after({"fold-batch-norm", "fuse-pooling"})), Contains("pooled_matmul"));
  EXPECT_EQ(places_, 1u);
}

TEST_F(PassesTest, FoldConstantsComputesWhatNoInputReaches) {
  const Tensor a = Tensor::full(ctx_, {{3}, DType::f32}, 2);
  const TensorSpec input{{3}, DType::f32};
  Graph graph = trace(ctx_, {&input, 1}, [&](const Context& ctx, std::span<const Tensor> inputs) {
    return std::vector{ops::add(ctx, inputs[0], ops::multiply(ctx, a, a))};
  });
  EXPECT_EQ(pass_named("fold-constants")->run(ctx_, graph), 1u);
  ASSERT_THAT(test::op_names(graph), ElementsAre("add"));
  EXPECT_EQ(graph.value(graph.nodes()[0].inputs[1]).constant.to_vector<float>(ctx_),
            (std::vector<float>{4, 4, 4}));
}

TEST_F(PassesTest, MergeEqualComputesTheSameOnce) {
  const TensorSpec input{{2, 3, 3, 4}, DType::f32};
  Graph graph = trace(ctx_, {&input, 1}, [&](const Context& ctx, std::span<const Tensor> inputs) {
    const Tensor& x = inputs[0];
    return std::vector{ops::global_average_pool(ctx, x), ops::global_average_pool(ctx, x),
                       ops::reduce_mean(ctx, x, 1, 1), ops::activation(ctx, x, Activation::relu)};
  });
  EXPECT_EQ(pass_named("merge-equal")->run(ctx_, graph), 1u);
  EXPECT_THAT(test::op_names(graph), ElementsAre("reduce_mean", "reduce_mean", "activation"));
  EXPECT_EQ(graph.outputs()[0], graph.outputs()[1]);
}

TEST_F(PassesTest, LeavesAloneWhatOthersRead) {
  const TensorSpec input{{1, 4, 4, 3}, DType::f32};
  Graph graph = trace(ctx_, {&input, 1}, [&](const Context& ctx, std::span<const Tensor> inputs) {
    const Tensor sums = ops::conv2d(ctx, inputs[0], net_.weight({1, 1, 3, 4}), {}, {});
    return std::vector{net_.norm(ctx, sums, Activation::relu), sums};
  });
  const auto before = test::op_names(graph);
  for (const auto& pass : inference_passes()) EXPECT_EQ(pass->run(ctx_, graph), 0u) << pass->name();
  EXPECT_EQ(test::op_names(graph), before);
}

class PassSwitchTest : public testing::TestWithParam<std::string> {};

TEST_P(PassSwitchTest, OnOrOffGivesTheSame) {
  for (const bool fast : {true, false}) {
    SCOPED_TRACE(fast ? "fast kernels" : "reference kernels");
    const Context ctx(fast ? Device::cpu(2) : Device::reference());
    test::PlanNet net(ctx);
    const Tensor pixels = net.pixels();
    const auto eager = net.forward(ctx, pixels).to_vector<float>(ctx);
    const Session without(Plan::build(ctx, net.trace(), {.without = {GetParam()}}));
    EXPECT_TRUE(test::close_each(test::run_once(ctx, without, pixels), eager, kTolerance));
  }
}

TEST_P(PassSwitchTest, AloneGivesTheSame) {
  const Context ctx(Device::cpu(2));
  test::PlanNet net(ctx);
  const Tensor pixels = net.pixels();
  std::vector<std::string> others = all_pass_names();
  std::erase(others, GetParam());
  const Session alone(Plan::build(ctx, net.trace(), {.without = others}));
  EXPECT_TRUE(test::close_each(test::run_once(ctx, alone, pixels),
                               net.forward(ctx, pixels).to_vector<float>(ctx), kTolerance));
}

std::vector<std::string> switches() {
  std::vector<std::string> names = all_pass_names();
  names.emplace_back("prepare-weights");
  return names;
}

std::string without_dashes(const testing::TestParamInfo<std::string>& test) {
  std::string name = test.param;
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Passes, PassSwitchTest, testing::ValuesIn(switches()), without_dashes);

}  // namespace
}  // namespace pila
