// Whole networks through CUDA's kernels, against the processor's in float32.
#include <gmock/gmock.h>

#include <cmath>
#include <utility>

#include "layers/batch_statistics.h"
#include "layers/planned_model.h"
#include "tests/engine/plan_net.h"
#include "tests/layers/plan_device.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

// Of all numbers together: the root of the sum of squares.
double relative_error(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double error = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    error += std::pow(static_cast<double>(actual[i]) - static_cast<double>(expected[i]), 2);
    size += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(error / size);
}

class CudaPlanTest : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    if (!test::plan_device().lacks.empty()) GTEST_SKIP() << test::plan_device().lacks;
  }

  // A unit in the last place is 2^-11 of float16 and TF32 numbers and 2^-8 of bfloat16 ones. PlanNet rounds a
  // dozen times one behind the other; a random network of fifty layers multiplies by some dozens what it
  // begins with.
  double small_tolerance() const {
    return GetParam() == Precision::f32 ? 1e-5 : GetParam() == Precision::bf16 ? 4e-2 : 5e-3;
  }
  double network_tolerance() const {
    return GetParam() == Precision::f32 ? 1e-4 : GetParam() == Precision::bf16 ? 3e-1 : 5e-2;
  }
};

TEST_P(CudaPlanTest, PlanNet) {
  const Context ctx(test::plan_device().device), cpu(Device::cpu(1));
  test::PlanNet net(ctx), cpu_net(cpu);
  const auto expected = cpu_net.forward(cpu, cpu_net.pixels()).to_vector<float>(cpu);
  for (const char* without : {"capture-work", "prepare-weights", "fuse-inverted-residual", "fuse-pooling",
                              "fuse-pixels", "fold-batch-norm"}) {
    SCOPED_TRACE(without);
    const auto plan = Plan::build(ctx, net.trace(), {.without = {without}, .precision = GetParam()});
    const Session session(plan);
    const auto answers = test::run_once(ctx, session, net.pixels());
    EXPECT_LT(relative_error(answers, expected), small_tolerance());
    EXPECT_TRUE(test::same_bits(test::run_once(ctx, session, net.pixels()), answers));
  }
}

// What EfficientNets put between a depthwise convolution and its projection: each channel by a factor that
// all channels' means decide.
TEST_P(CudaPlanTest, SqueezeExcite) {
  constexpr std::int64_t kBatch = 2, kSize = 9, kChannels = 48, kSqueezed = 8;
  const auto answers_of = [&](const Context& ctx, Precision precision) {
    const auto weight = [&](const Shape& shape, std::uint64_t seed) {
      return Tensor::from(
          ctx, shape, test::uniform_data<float>(static_cast<std::size_t>(shape.elements()), seed, -0.5, 0.5));
    };
    const TensorSpec input{{kBatch, kSize, kSize, kChannels}, DType::f32};
    const auto run = [&](const Context& on, std::span<const Tensor> inputs) {
      const Tensor& x = inputs[0];
      Tensor s = ops::reshape(on, ops::global_average_pool(on, x), {kBatch, 1, 1, kChannels});
      s = ops::conv2d(on, s, weight({1, 1, kChannels, kSqueezed}, 1), weight({kSqueezed}, 2),
                      {.activation = Activation::silu});
      s = ops::conv2d(on, s, weight({1, 1, kSqueezed, kChannels}, 3), weight({kChannels}, 4),
                      {.activation = Activation::sigmoid});
      return std::vector{ops::multiply(on, x, s)};
    };
    const auto plan = Plan::build(ctx, trace(ctx, {&input, 1}, run), {.precision = precision});
    const Session session(plan);
    return test::run_once(ctx, session, weight(input.shape, 5));
  };
  const auto expected = answers_of(Context(Device::cpu(1)), Precision::f32);
  EXPECT_LT(relative_error(answers_of(Context(test::plan_device().device), GetParam()), expected),
            small_tolerance());
}

// The same random network on both devices, with statistics that leave activations about as large as they
// were.
void randomise(const Context& cpu, Model& cpu_model, const Context& ctx, const Model& model) {
  bool given = false;
  recalibrate_batch_norm(cpu, cpu_model, [&] {
    const auto pixels = test::uniform_data<float>(16 * 64 * 64 * 3, 5);
    return std::exchange(given, true) ? Tensor() : Tensor::from(cpu, {16, 64, 64, 3}, pixels);
  });
  for (std::size_t i = 0; i < model.layers().size(); ++i) {
    for (std::size_t p = 0; p < model.layers()[i]->parameters().size(); ++p) {
      model.layers()[i]->parameters()[p].value.assign(ctx, cpu_model.layers()[i]->parameters()[p].value);
    }
  }
}

TEST_P(CudaPlanTest, MobileNetV2) {
  const Context ctx(test::plan_device().device), cpu(Device::cpu(1));
  ModelSpec spec;
  spec.width = 0.35;
  spec.input_height = spec.input_width = 64;
  spec.head = imagenet_head(10);
  const Preprocessing preprocessing{.height = 64, .width = 64};
  Model model(ctx, spec), cpu_model(cpu, spec);
  randomise(cpu, cpu_model, ctx, model);
  PlannedModel expected(cpu, cpu_model, preprocessing, GraphInput::images);
  PlannedModel planned(ctx, model, preprocessing, GraphInput::images, {.precision = GetParam()});
  const auto pixels = test::uniform_data<float>(2 * 64 * 64 * 3, 7, -1, 1);
  const Shape shape{2, 64, 64, 3};
  const auto outputs = planned.run(Tensor::from(ctx, shape, pixels));
  const auto wanted = expected.run(Tensor::from(cpu, shape, pixels));
  EXPECT_LT(relative_error(outputs.logits, wanted.logits), network_tolerance());
  EXPECT_LT(relative_error(outputs.features, wanted.features), network_tolerance());
  planned.submit(pixels, 2);
  EXPECT_TRUE(test::same_bits(planned.collect().first.logits, outputs.logits));
}

INSTANTIATE_TEST_SUITE_P(Types, CudaPlanTest,
                         testing::Values(Precision::f32, Precision::tf32, Precision::f16, Precision::bf16),
                         [](const auto& test) { return to_string(test.param); });

}  // namespace
}  // namespace pila
