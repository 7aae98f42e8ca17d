#include "layers/model_graph.h"

#include <gtest/gtest.h>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/plan/cost.h"
#include "engine/plan/pass.h"
#include "engine/plan/plan.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila::model_graph_test {
namespace {

constexpr std::int64_t kSize = 64, kBatch = 2;

class ModelGraphTest : public testing::Test {
 protected:
  static ModelSpec spec(std::vector<HeadLayerSpec> head) {
    ModelSpec spec;
    spec.width = 0.35;
    spec.input_height = spec.input_width = kSize;
    spec.head = std::move(head);
    return spec;
  }

  Tensor pixels() const {
    const auto values = integer_data(kBatch * kSize * kSize * 3);
    return Tensor::from(ctx_, {kBatch, kSize, kSize, 3}, values);
  }
  static std::vector<std::uint8_t> integer_data(std::size_t count) {
    return test::integer_data<std::uint8_t>(count, 3, 0, 255);
  }

  const Context ctx_{Device::cpu(2)};
  const Preprocessing preprocessing_{.height = kSize, .width = kSize};
};

// Rounding of float32 through 53 convolutions, relative to the norm of the result.
constexpr double kTolerance = 1e-5;

TEST_F(ModelGraphTest, PlansGiveWhatTheLayersGive) {
  const Model model(ctx_, spec(imagenet_head(10)), 1);
  const Tensor images = preprocess(ctx_, pixels(), preprocessing_);
  Tensor features;
  const Tensor logits =
      model.logits(ctx_, images, [&](const std::string&, const Tensor& output) { features = output; });
  const auto expected_logits = logits.to_vector<float>(ctx_);
  const auto expected_features = ops::global_average_pool(ctx_, features).to_vector<float>(ctx_);
  for (const GraphInput input : {GraphInput::pixels, GraphInput::images}) {
    const auto plan = Plan::build(ctx_, trace_model(ctx_, model, preprocessing_, kBatch, input));
    const Session session(plan);
    session.input().assign(ctx_, input == GraphInput::pixels ? pixels() : images);
    session.run();
    EXPECT_TRUE(test::close_by_norm(session.output(kLogitsOutput).to_vector<float>(ctx_), expected_logits,
                                    kTolerance));
    EXPECT_TRUE(test::close_by_norm(session.output(kFeaturesOutput).to_vector<float>(ctx_), expected_features,
                                    kTolerance));
    // The stem, 17 blocks, the last convolution with its mean, and the classes.
    EXPECT_EQ(plan->graph().nodes().size(), 20u) << plan->explain();
  }
}

TEST_F(ModelGraphTest, NodesBearTheNamesOfTheirLayers) {
  const Model model(ctx_, spec(imagenet_head(10)), 1);
  const auto plan = Plan::build(ctx_, trace_model(ctx_, model, preprocessing_, kBatch, GraphInput::pixels));
  const auto& nodes = plan->graph().nodes();
  EXPECT_EQ(nodes.front().name, "Conv1");
  EXPECT_EQ(nodes[2].name, "block_1_project");
  EXPECT_EQ(nodes[18].name, "Conv_1");
  EXPECT_EQ(nodes.back().name, "predictions");
}

TEST_F(ModelGraphTest, CostsWhatTheLayersCost) {
  ModelSpec large;
  large.head = imagenet_head();
  const Model model(ctx_, large);
  Graph graph = trace_model(ctx_, model, {}, 1, GraphInput::pixels);
  const auto sum = [](const Graph& of) {
    double multiply_adds = 0;
    for (const Node& node : of.nodes()) multiply_adds += cost_of(of, node).multiply_adds;
    return multiply_adds;
  };
  const double before = sum(graph);
  EXPECT_NEAR(before, 300.8e6, 0.05e6) << "MobileNetV2's known 300 million";
  for (const auto& pass : inference_passes()) pass->run(ctx_, graph);
  EXPECT_EQ(sum(graph), before) << "fusing saves none";
}

TEST_F(ModelGraphTest, WithoutAHeadLogitsAreTheFeatures) {
  const Model model(ctx_, spec({}), 1);
  const Graph graph = trace_model(ctx_, model, preprocessing_, 1, GraphInput::images);
  EXPECT_EQ(graph.outputs()[kLogitsOutput], graph.outputs()[kFeaturesOutput]);
  EXPECT_EQ(graph.value(graph.outputs()[0]).spec.shape, (Shape{1, 1280}));
}

TEST_F(ModelGraphTest, RefusesPreprocessingToAnotherSize) {
  const Model model(ctx_, spec({}), 1);
  EXPECT_THROW(trace_model(ctx_, model, {}, 1, GraphInput::pixels), ShapeError);
}

}  // namespace
}  // namespace pila::model_graph_test
