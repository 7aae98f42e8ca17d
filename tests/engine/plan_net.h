// A small network with everything that passes look for, and ways of running it.
#pragma once

#include <string>
#include <vector>

#include "engine/ops/ops.h"
#include "engine/plan/plan.h"
#include "engine/plan/trace.h"
#include "tests/support/random_data.h"

namespace pila::test {

struct PlanNet {
  static constexpr std::int64_t kBatch = 2, kSize = 9, kChannels = 8, kWide = 24, kClasses = 5;

  explicit PlanNet(const Context& ctx) : ctx_(ctx) {}

  // A layer's name is its weights' too.
  Tensor weight(const Shape& shape, const std::string& layer = {}) {
    const auto values = uniform_data<float>(static_cast<std::size_t>(shape.elements()), seed_++, -0.5, 0.5);
    const Tensor tensor = Tensor::from(ctx_, shape, values);
    if (!layer.empty()) names_[tensor.id()] = layer;
    return tensor;
  }

  // Statistics that make folding visible; variances are positive.
  Tensor norm(const Context& ctx, const Tensor& x, Activation activation) {
    const std::int64_t c = x.shape()[-1];
    const auto variance = uniform_data<float>(static_cast<std::size_t>(c), seed_++, 0.5, 2);
    return ops::batch_norm_inference(ctx, x, weight({c}), weight({c}), weight({c}),
                                     Tensor::from(ctx_, {c}, variance), 1e-3, activation);
  }

  Tensor pointwise(const Context& ctx, const Tensor& x, const std::string& layer, std::int64_t channels,
                   Activation activation) {
    const Tensor y = ops::conv2d(ctx, x, weight({1, 1, x.shape()[-1], channels}, layer), {}, {});
    return norm(ctx, y, activation);
  }

  // Pixels to probabilities.
  Tensor forward(const Context& ctx, const Tensor& pixels) {
    seed_ = 1;
    const float scale[] = {1 / 127.5f}, offset[] = {-1};
    Tensor x = ops::image_to_float(ctx, pixels, scale, offset);
    x = ops::zero_pad(ctx, x, 1, 1, 1, 1);
    x = ops::conv2d(ctx, x, weight({3, 3, 3, kChannels}), {}, {.stride = 2});
    x = norm(ctx, x, Activation::none);
    x = ops::activation(ctx, x, Activation::relu6);
    Tensor y = pointwise(ctx, x, "expand", kWide, Activation::relu6);
    y = ops::depthwise_conv2d(ctx, y, weight({3, 3, kWide, 1}), {}, {.padding = ops::Padding::same});
    y = norm(ctx, y, Activation::relu6);
    y = pointwise(ctx, y, "project", kChannels, Activation::none);
    x = ops::add(ctx, x, y);
    x = pointwise(ctx, ops::affine(ctx, x, 1, 0), "last", kWide, Activation::silu);
    x = ops::dense(ctx, ops::global_average_pool(ctx, x), weight({kWide, kClasses}, "classes"),
                   weight({kClasses}));
    return ops::softmax(ctx, x);
  }

  Graph trace() {
    const TensorSpec input{{kBatch, kSize, kSize, 3}, DType::u8};
    const auto run = [&](const Context& ctx, std::span<const Tensor> inputs) {
      return std::vector{forward(ctx, inputs[0])};
    };
    return pila::trace(ctx_, {&input, 1}, run, names_);
  }

  Tensor pixels(std::uint64_t seed = 99) {
    const auto values = integer_data<std::uint8_t>(kBatch * kSize * kSize * 3, seed, 0, 255);
    return Tensor::from(ctx_, {kBatch, kSize, kSize, 3}, values);
  }

 private:
  const Context ctx_;
  std::uint64_t seed_ = 1;
  WeightNames names_;
};

// The names of a graph's operations, in order.
inline std::vector<std::string> op_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) names.emplace_back(node.op->name());
  return names;
}

inline std::vector<float> run_once(const Context& ctx, const Session& session, const Tensor& input) {
  session.input().assign(ctx, input);
  session.run();
  return session.output().to_vector<float>(ctx);
}

}  // namespace pila::test
