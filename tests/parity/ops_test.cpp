// Single operations and their gradients against Keras. golden_ops.py has the same cases under the same names.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <iostream>

#include "engine/autograd/tape.h"
#include "engine/ops/ops.h"
#include "engine/optim/adam.h"
#include "tests/parity/device_under_test.h"
#include "tests/parity/golden_file.h"
#include "tests/support/random_data.h"

namespace pila::test {
namespace {

struct Input {
  std::string key;  // "x" of "conv_1x1/x"
  Shape shape;
  Bounds bounds = {};
};
using Inputs = std::vector<Tensor>;

class Ops : public testing::TestWithParam<DeviceUnderTest> {
 protected:
  Tensor input(const std::string& name, const Shape& shape, Bounds bounds = {}) const {
    return to_device(ctx_, type_, shape, generated(name, static_cast<std::size_t>(shape.elements()), bounds));
  }

  void expect(const std::string& name, const Tensor& actual) {
    const auto [difference, expected] = golden_.distance(name, to_host(ctx_, actual));
    const double error = expected > 0 ? difference / expected : difference;
    EXPECT_LE(error, tolerance_) << name;
    worst_ = std::max(worst_, error);
  }

  // The output, and the gradient of each input for the loss sum(output * cotangent).
  void check(const std::string& name, const std::vector<Input>& inputs,
             const std::function<Tensor(const Context&, const Inputs&)>& function,
             const std::string& inputs_of = {}) {
    Tape tape;
    const Context recorded = ctx_.with_recorder(&tape);
    Inputs tensors;
    for (const Input& i : inputs) {
      tensors.push_back(input((inputs_of.empty() ? name : inputs_of) + "/" + i.key, i.shape, i.bounds));
      tape.watch(tensors.back());
    }
    const Tensor y = function(recorded, tensors);
    expect(name + "/y", y);
    const Tensor cotangent = input(name + "/cotangent", y.shape());
    const Tensor loss = ops::sum(recorded, ops::multiply(recorded, y, cotangent));
    const Gradients gradients = tape.backward(ctx_, loss);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      expect(name + "/d" + inputs[i].key, gradients.of(tensors[i]));
    }
  }

  void TearDown() override {
    std::cout << "parity ops " << testing::UnitTest::GetInstance()->current_test_info()->name()
              << " max_rel_err " << worst_ << "\n";
  }

  const DType type_ = GetParam().type;
  const Context ctx_{GetParam().make()};
  const GoldenFile golden_{"ops.golden"};
  // float32: some hundreds of products are summed for an element at most.
  double tolerance_ = type_ == DType::f64 ? 1e-13 : 2e-6;
  double worst_ = 0;
};

TEST_P(Ops, Convolution) {
  using ops::Padding;
  struct Case {
    const char* name;
    int height, width, channels, filters, kernel, stride;
    Padding padding;
    int groups;
  };
  for (const Case& c : {Case{"conv_3x3_same", 7, 9, 3, 5, 3, 1, Padding::same, 1},
                        Case{"conv_3x3_stride_2_even", 8, 10, 3, 4, 3, 2, Padding::same, 1},
                        Case{"conv_3x3_stride_2_odd", 7, 9, 3, 4, 3, 2, Padding::same, 1},
                        Case{"conv_7x7_stride_2_valid", 15, 14, 3, 6, 7, 2, Padding::valid, 1},
                        Case{"conv_1x1", 5, 4, 7, 9, 1, 1, Padding::valid, 1},
                        Case{"conv_1x1_stride_2", 5, 4, 7, 9, 1, 2, Padding::same, 1},
                        Case{"conv_3x3_groups", 6, 5, 6, 4, 3, 1, Padding::same, 2}}) {
    ops::ConvOptions options;
    options.stride = c.stride;
    options.padding = c.padding;
    options.groups = c.groups;
    check(
        c.name,
        {{"x", {2, c.height, c.width, c.channels}},
         {"kernel", {c.kernel, c.kernel, c.channels / c.groups, c.filters}},
         {"bias", {c.filters}}},
        [&](const Context& ctx, const Inputs& in) { return ops::conv2d(ctx, in[0], in[1], in[2], options); });
  }
}

TEST_P(Ops, DepthwiseConvolution) {
  using ops::Padding;
  struct Case {
    const char* name;
    int height, width, stride;
    Padding padding;
  };
  for (const Case& c : {Case{"depthwise_same", 7, 6, 1, Padding::same},
                        Case{"depthwise_stride_2_same_even", 8, 6, 2, Padding::same},
                        Case{"depthwise_stride_2_same_odd", 9, 7, 2, Padding::same},
                        Case{"depthwise_stride_2_valid", 9, 8, 2, Padding::valid}}) {
    ops::ConvOptions options;
    options.stride = c.stride;
    options.padding = c.padding;
    check(c.name, {{"x", {2, c.height, c.width, 5}}, {"kernel", {3, 3, 5, 1}}},
          [&](const Context& ctx, const Inputs& in) {
            return ops::depthwise_conv2d(ctx, in[0], in[1], {}, options);
          });
  }
}

TEST_P(Ops, BatchNormalization) {
  constexpr double kEpsilon = 1e-3, kMomentum = 0.9;
  const std::vector<Input> inputs = {{"x", {3, 4, 5, 6}}, {"gamma", {6}}, {"beta", {6}}};
  const Tensor mean = input("batch_norm/moving_mean", {6});
  const Tensor variance = input("batch_norm/moving_variance", {6}, {0.5, 2.0});
  check(
      "batch_norm_inference", inputs,
      [&](const Context& ctx, const Inputs& in) {
        return ops::batch_norm_inference(ctx, in[0], in[1], in[2], mean, variance, kEpsilon);
      },
      "batch_norm");
  check(
      "batch_norm_training", inputs,
      [&](const Context& ctx, const Inputs& in) {
        const ops::BatchNormResult result = ops::batch_norm_training(ctx, in[0], in[1], in[2], kEpsilon);
        ops::moving_average(ctx, mean, result.mean, kMomentum);
        ops::moving_average(ctx, variance, result.variance, kMomentum);
        return result.y;
      },
      "batch_norm");
  expect("batch_norm_training/moving_mean", mean);
  expect("batch_norm_training/moving_variance", variance);
}

TEST_P(Ops, Activation) {
  const std::pair<const char*, Activation> cases[] = {{"relu", Activation::relu},
                                                      {"relu6", Activation::relu6},
                                                      {"silu", Activation::silu},
                                                      {"sigmoid", Activation::sigmoid}};
  for (const auto& [name, kind] : cases) {
    check(name, {{"x", {2, 3, 4, 5}, {-9, 9}}},
          [kind = kind](const Context& ctx, const Inputs& in) { return ops::activation(ctx, in[0], kind); });
  }
}

TEST_P(Ops, Softmax) {
  check("softmax", {{"x", {2, 3, 4, 5}, {-9, 9}}},
        [](const Context& ctx, const Inputs& in) { return ops::softmax(ctx, in[0]); });
}

TEST_P(Ops, SqueezeExciteMultiply) {
  check("excite", {{"x", {2, 3, 4, 5}}, {"gate", {2, 1, 1, 5}}},
        [](const Context& ctx, const Inputs& in) { return ops::multiply(ctx, in[0], in[1]); });
}

TEST_P(Ops, ZeroPadding) {
  check("zero_padding", {{"x", {2, 3, 4, 5}}},
        [](const Context& ctx, const Inputs& in) { return ops::zero_pad(ctx, in[0], 0, 1, 2, 3); });
}

TEST_P(Ops, Pooling) {
  check("global_average_pool", {{"x", {2, 3, 4, 5}}},
        [](const Context& ctx, const Inputs& in) { return ops::global_average_pool(ctx, in[0]); });
  struct Case {
    const char* name;
    int height, width;
    ops::PoolOptions options;
  };
  for (const Case& c : {Case{"max_pool_3_stride_2", 9, 8, {3, 2, ops::Padding::valid}},
                        Case{"max_pool_3_stride_2_same", 9, 8, {3, 2, ops::Padding::same}},
                        Case{"max_pool_1_stride_2", 7, 8, {1, 2, ops::Padding::valid}}}) {
    check(c.name, {{"x", {2, c.height, c.width, 3}}},
          [&](const Context& ctx, const Inputs& in) { return ops::max_pool(ctx, in[0], c.options); });
  }
}

TEST_P(Ops, SparseCrossEntropy) {
  constexpr int kRows = 6, kClasses = 7;
  std::vector<std::int32_t> rows(kRows);
  for (int i = 0; i < kRows; ++i) rows[static_cast<std::size_t>(i)] = (3 * i + 1) % kClasses;
  const Tensor labels = Tensor::from(ctx_, {kRows}, rows);
  const Tensor class_weights = input("cross_entropy/class_weights", {kClasses}, {0.5, 3.0});
  const auto check_loss = [&](const char* name, double smoothing, const Tensor& weights) {
    check(name, {{"logits", {kRows, kClasses}, {-4, 4}}}, [&](const Context& ctx, const Inputs& in) {
      return ops::sparse_cross_entropy(ctx, in[0], labels, smoothing, weights);
    });
  };
  check_loss("cross_entropy", 0, {});
  check_loss("cross_entropy_smoothed", 0.1, {});
  check_loss("cross_entropy_weighted", 0.1, class_weights);
}

TEST_P(Ops, AdamWithWeightDecay) {
  const Tensor w = input("adam/w", {40});
  Adam adam(ctx_, {{w}}, {.weight_decay = 0.1});
  for (int step = 0; step < 5; ++step) {
    Gradients gradients;
    gradients.set(w, input("adam/gradient_" + std::to_string(step), {40}));
    adam.step(ctx_, gradients, 0.01 / (step + 1));
    expect("adam/after_" + std::to_string(step), w);
  }
}

TEST_P(Ops, ResizeBilinear) {
  tolerance_ = 1e-5;  // TensorFlow computes a pixel's place in float32, 1e-5 of a pixel off at the 100th
  struct Case {
    const char* name;
    int height, width, new_height, new_width;
  };
  for (const Case& c : {Case{"resize_up", 9, 7, 20, 33}, Case{"resize_down", 61, 48, 13, 9},
                        Case{"resize_odd", 15, 33, 31, 17}, Case{"resize_far_down", 97, 113, 5, 3},
                        Case{"resize_from_one", 1, 1, 4, 3}, Case{"resize_same", 6, 8, 6, 8}}) {
    const std::size_t count = 2UL * static_cast<std::size_t>(c.height * c.width) * 3;
    std::vector<std::uint8_t> pixels(count);
    for (std::size_t i = 0; i < count; ++i) {
      pixels[i] = static_cast<std::uint8_t>(random_unit(seed_of(c.name + std::string("/x")), i) * 256);
    }
    const Tensor image = Tensor::from(ctx_, {2, c.height, c.width, 3}, pixels);
    expect(c.name + std::string("/y"), ops::resize_bilinear(ctx_, image, c.new_height, c.new_width, type_));
  }
}

INSTANTIATE_TEST_SUITE_P(Keras, Ops, testing::Values(kReferenceInDouble, kCpuInFloat), precision_of);

}  // namespace
}  // namespace pila::test
