// A whole training step, traced without values, and played back.
#include <gmock/gmock.h>

#include <map>

#include "engine/core/error.h"
#include "tests/engine/recorders.h"
#include "tests/engine/small_net.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

using testing::Contains;
using testing::ElementsAre;

class TraceTest : public testing::Test {
 protected:
  const Context ctx_{Device::reference()};
  test::TracingRecorder recorder_;
  const Context tracing_ = ctx_.with_recorder(&recorder_);
};

// Runs what was written down; `values` knows what the symbolic inputs stand for and learns the outputs.
void play(const Context& ctx, const test::TracingRecorder& recorder,
          std::map<std::uint64_t, Tensor>& values) {
  for (const auto& [op, inputs, outputs] : recorder.entries) {
    std::vector<Tensor> actual;
    for (const Tensor& input : inputs) actual.push_back(input.symbolic() ? values.at(input.id()) : input);
    const std::vector<Tensor> results = apply(ctx, op, actual);
    for (std::size_t i = 0; i < outputs.size(); ++i) values[outputs[i].id()] = results[i];
  }
}

TEST_F(TraceTest, HandsOutSymbolicTensorsAndRunsNothing) {
  const Tensor x = Tensor::symbolic({{2, 8, 8, 3}, DType::f32});
  const test::SmallNet net(ctx_);
  const auto requests = ctx_.device()->allocator().statistics().requests;
  const Tensor y = net.logits(tracing_, x);
  EXPECT_TRUE(y.symbolic());
  EXPECT_EQ(y.spec(), (TensorSpec{{2, 5}, DType::f32}));
  EXPECT_THROW((void)y.to_vector<float>(ctx_), UsageError);
  EXPECT_EQ(ctx_.device()->allocator().statistics().requests, requests);
  EXPECT_THAT(recorder_.names(), Contains("batch_norm_inference").Times(3));
  EXPECT_THAT(recorder_.names(), Contains("reshape"));
}

TEST_F(TraceTest, ChecksShapesAllTheSame) {
  const Tensor x = Tensor::symbolic({{2, 3}, DType::f32});
  EXPECT_THROW(ops::matmul(tracing_, x, x), ShapeError);
}

TEST_F(TraceTest, KeepsViewsSymbolic) {
  const Tensor y = ops::reshape(tracing_, Tensor::symbolic({{2, 3}, DType::f32}), {6});
  EXPECT_TRUE(y.symbolic());
  EXPECT_TRUE(recorder_.entries[0].op->is_view());
}

TEST_F(TraceTest, PlaysAWholeTrainingStepBackBitForBit) {
  constexpr int kSteps = 3;
  const test::Training eager = test::train_small_net(ctx_, kSteps, 4, 10);

  const test::SmallNet net(ctx_);
  const test::Batch batch = test::small_batch(ctx_, 4, 10);
  Adam adam = net.optimizer(ctx_);
  const Tensor step = Tensor::zeros(ctx_, {{}, DType::i64});

  const Tensor images = Tensor::symbolic(batch.images.spec()), labels = Tensor::symbolic(batch.labels.spec());
  const Context training = tracing_.for_training(7, step);
  Tape tape(&recorder_);
  for (const Tensor& parameter : net.parameters()) tape.watch(parameter);
  const Context recorded = training.with_recorder(&tape);
  const Tensor loss = net.loss(recorded, images, labels);
  const Gradients gradients = tape.backward(recorded, loss);
  adam.update(recorded, gradients);
  EXPECT_TRUE(loss.symbolic());
  EXPECT_TRUE(gradients.of(net.conv).symbolic());
  EXPECT_EQ(recorder_.names().back(), "adam");
  EXPECT_EQ(adam.steps(), 0);

  std::map<std::uint64_t, Tensor> values = {{images.id(), batch.images}, {labels.id(), batch.labels}};
  std::vector<float> losses;
  for (std::int64_t i = 1; i <= kSteps; ++i) {
    step.assign<std::int64_t>(ctx_, {&i, 1});
    adam.advance(ctx_, 0.01);
    play(ctx_, recorder_, values);
    losses.push_back(values.at(loss.id()).item<float>(ctx_));
  }
  EXPECT_TRUE(test::same_bits(losses, eager.losses));
  const std::vector<Tensor> state = net.state();
  for (std::size_t i = 0; i < state.size(); ++i) {
    EXPECT_TRUE(test::same_bits(state[i].to_vector<float>(ctx_), eager.state[i]))
        << state[i].spec().to_string();
  }
}

TEST_F(TraceTest, SaysWhichInputsAreOverwritten) {
  const Tensor weight = Tensor::zeros(ctx_, {{2}, DType::f32}),
               frozen = Tensor::zeros(ctx_, {{3}, DType::f32});
  Adam adam(ctx_, {{.value = frozen}, {.value = weight}});
  Gradients gradients;
  gradients.set(weight, Tensor::symbolic(weight.spec()));
  adam.update(tracing_, gradients);
  EXPECT_THAT(recorder_.names(), ElementsAre("global_norm", "adam"));
  const auto& norm = recorder_.entries[0];
  EXPECT_EQ(norm.inputs[0].id(), adam.gradient_norm().id());
  EXPECT_TRUE(norm.op->writes(0) && norm.op->writes(1) && !norm.op->writes(2));
  const auto& [op, inputs, outputs] = recorder_.entries[1];
  EXPECT_TRUE(outputs.empty());
  EXPECT_EQ(inputs[2].id(), norm.inputs[1].id()) << "the scale of the gradients";
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::uint64_t id = inputs[i].id();
    const bool written =
        id == weight.id() || id == adam.first_moments()[1].id() || id == adam.second_moments()[1].id();
    EXPECT_EQ(op->writes(i), written) << i;
    EXPECT_NE(id, frozen.id());
  }
}

}  // namespace
}  // namespace pila
