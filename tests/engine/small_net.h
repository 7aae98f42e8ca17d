// A network of every kind of layer that the large ones are made of, and its training.
#pragma once

#include <vector>

#include "engine/autograd/tape.h"
#include "engine/core/random.h"
#include "engine/ops/ops.h"
#include "engine/optim/adam.h"

namespace pila::test {

struct SmallNet {
  static constexpr std::int64_t kClasses = 5;

  Tensor conv, expand, depthwise, squeeze, project, dense, bias;
  Tensor gamma[3], beta[3], mean[3], variance[3];

  // The same values on every device.
  explicit SmallNet(const Context& ctx, std::uint64_t seed = 1) {
    Random random(seed);
    const auto weights = [&](const Shape& shape, double deviation) {
      std::vector<float> values(static_cast<std::size_t>(shape.elements()));
      for (float& value : values) value = static_cast<float>(random.normal() * deviation);
      return Tensor::from(ctx, shape, values);
    };
    conv = weights({3, 3, 3, 8}, 0.3);
    expand = weights({1, 1, 8, 24}, 0.4);
    depthwise = weights({3, 3, 24, 1}, 0.4);
    squeeze = weights({1, 1, 24, 24}, 0.2);
    project = weights({1, 1, 24, 8}, 0.3);
    dense = weights({8, kClasses}, 0.4);
    bias = weights({kClasses}, 0.1);
    const std::int64_t channels[] = {8, 24, 24};
    for (int i = 0; i < 3; ++i) {
      gamma[i] = Tensor::full(ctx, {{channels[i]}, DType::f32}, 1);
      beta[i] = Tensor::zeros(ctx, {{channels[i]}, DType::f32});
      mean[i] = Tensor::zeros(ctx, {{channels[i]}, DType::f32});
      variance[i] = Tensor::full(ctx, {{channels[i]}, DType::f32}, 1);
    }
  }

  std::vector<Tensor> parameters() const {
    return {conv,     expand,  depthwise, squeeze, project,  dense,  bias,
            gamma[0], beta[0], gamma[1],  beta[1], gamma[2], beta[2]};
  }
  std::vector<Tensor> state() const {
    std::vector<Tensor> all = parameters();
    for (int i = 0; i < 3; ++i) all.insert(all.end(), {mean[i], variance[i]});
    return all;
  }

  Tensor normalise(const Context& ctx, const Tensor& x, int i, Activation kind) const {
    if (!ctx.training()) {
      return ops::batch_norm_inference(ctx, x, gamma[i], beta[i], mean[i], variance[i], 1e-3, kind);
    }
    const auto result = ops::batch_norm_training(ctx, x, gamma[i], beta[i], 1e-3, kind);
    ops::moving_average(ctx, mean[i], result.mean, 0.9);
    ops::moving_average(ctx, variance[i], result.variance, 0.9);
    return result.y;
  }

  // Images [n, h, w, 3] of float32 to logits [n, classes].
  Tensor logits(const Context& ctx, const Tensor& images) const {
    const ops::ConvOptions same{.padding = ops::Padding::same};
    const Tensor x = ops::conv2d(ctx, ops::zero_pad(ctx, images, 0, 1, 0, 1), conv, {}, {.stride = 2});
    const Tensor stem = normalise(ctx, x, 0, Activation::relu6);
    Tensor y = normalise(ctx, ops::conv2d(ctx, stem, expand, {}, same), 1, Activation::silu);
    y = normalise(ctx, ops::depthwise_conv2d(ctx, y, depthwise, {}, same), 2, Activation::relu);
    const Tensor pooled = ops::reshape(ctx, ops::global_average_pool(ctx, y), {y.shape()[0], 1, 1, 24});
    y = ops::multiply(ctx, y,
                      ops::activation(ctx, ops::conv2d(ctx, pooled, squeeze, {}, same), Activation::sigmoid));
    y = ops::add(ctx, stem, ops::conv2d(ctx, y, project, {}, same));
    const Tensor features = ops::global_average_pool(ctx, ops::max_pool(ctx, y, {}));
    return ops::dense(ctx, ops::dropout(ctx, features, 0.2, 0), dense, bias);
  }

  Tensor loss(const Context& ctx, const Tensor& images, const Tensor& labels) const {
    return ops::mean(ctx, ops::sparse_cross_entropy(ctx, logits(ctx, images), labels, 0.1));
  }

  Gradients gradients(const Context& ctx, const Tensor& images, const Tensor& labels,
                      float* loss_value = nullptr) const {
    Tape tape(ctx.recorder());
    for (const Tensor& parameter : parameters()) tape.watch(parameter);
    const Context recorded = ctx.with_recorder(&tape);
    const Tensor value = loss(recorded, images, labels);
    if (loss_value != nullptr) *loss_value = value.item<float>(ctx);
    return tape.backward(recorded, value);
  }

  Adam optimizer(const Context& ctx) const {
    std::vector<AdamParameter> adapted;
    for (const Tensor& parameter : parameters()) adapted.push_back({.value = parameter});
    return Adam(ctx, adapted, {.weight_decay = 0.01});
  }
};

struct Batch {
  Tensor images, labels;
};

inline Batch small_batch(const Context& ctx, std::int64_t count, std::int64_t size, std::uint64_t seed = 99) {
  Random random(seed);
  std::vector<float> pixels(static_cast<std::size_t>(count * size * size * 3));
  for (float& pixel : pixels) pixel = 2 * random.uniform() - 1;
  std::vector<std::int32_t> labels(static_cast<std::size_t>(count));
  for (auto& label : labels) label = static_cast<std::int32_t>(random.below(SmallNet::kClasses));
  return {Tensor::from(ctx, {count, size, size, 3}, pixels), Tensor::from(ctx, {count}, labels)};
}

struct Training {
  std::vector<float> losses;
  std::vector<std::vector<float>> state;  // all weights and moving statistics afterwards
};

// Some steps of forward, backward and Adam on one batch.
inline Training train_small_net(const Context& ctx, int steps, std::int64_t count, std::int64_t size) {
  const SmallNet net(ctx);
  const Batch batch = small_batch(ctx, count, size);
  Adam adam = net.optimizer(ctx);
  const Tensor step = Tensor::zeros(ctx, {{}, DType::i64});
  Training result;
  for (std::int64_t i = 1; i <= steps; ++i) {
    step.assign<std::int64_t>(ctx, {&i, 1});
    float loss = 0;
    const Gradients gradients = net.gradients(ctx.for_training(7, step), batch.images, batch.labels, &loss);
    adam.step(ctx, gradients, 0.01);
    result.losses.push_back(loss);
  }
  for (const Tensor& tensor : net.state()) result.state.push_back(tensor.to_vector<float>(ctx));
  return result;
}

}  // namespace pila::test
