#include "apps/report/gradcam.h"

#include <algorithm>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace pila {
namespace {

void check_classes(const Model& model, const Tensor& images, std::span<const std::int32_t> classes) {
  const auto fits = [&](std::int32_t k) { return k >= 0 && k < model.classes(); };
  if (images.shape().rank() == 4 && images.shape()[0] == static_cast<std::int64_t>(classes.size()) &&
      std::all_of(classes.begin(), classes.end(), fits)) {
    return;
  }
  throw ShapeError("[grad-cam] expected a class of " + std::to_string(model.classes()) +
                   " for each image, got " + std::to_string(classes.size()) + " for " +
                   images.spec().to_string());
}

std::vector<double> on_host(const Context& ctx, const Tensor& tensor) {
  return ops::cast(ctx, tensor, DType::f64).to_vector<double>(ctx);
}

// One at each image's class, so that a sum of all logits times this has the classes' gradients in it.
Tensor one_hot(const Context& ctx, const Tensor& logits, std::span<const std::int32_t> classes) {
  const auto width = static_cast<std::size_t>(logits.shape()[1]);
  std::vector<double> values(classes.size() * width);
  for (std::size_t i = 0; i < classes.size(); ++i)
    values[i * width + static_cast<std::size_t>(classes[i])] = 1;
  return ops::cast(ctx, Tensor::from(ctx, logits.shape(), values), logits.type());
}

// relu(sum over channels of weight * output), divided by its largest value. output: one image's
// [height, width, channels].
HeatMap weighted_map(std::span<const double> output, std::span<const double> weights, std::int64_t height,
                     std::int64_t width) {
  HeatMap map{height, width, {}};
  double largest = 0;
  std::vector<double> sums;
  for (std::size_t place = 0; place < output.size(); place += weights.size()) {
    double sum = 0;
    for (std::size_t c = 0; c < weights.size(); ++c) sum += output[place + c] * weights[c];
    sums.push_back(std::max(sum, 0.0));
    largest = std::max(largest, sum);
  }
  for (const double sum : sums) map.values.push_back(largest > 0 ? static_cast<float>(sum / largest) : 0);
  return map;
}

// `weights_of(image)` gives the channels' weights.
template <class WeightsOf>
std::vector<HeatMap> maps_of(const Context& ctx, const Tensor& output, const WeightsOf& weights_of) {
  const Shape& shape = output.shape();
  const auto values = on_host(ctx, output);
  const auto size = static_cast<std::size_t>(shape[1] * shape[2] * shape[3]);
  std::vector<HeatMap> maps;
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape[0]); ++i) {
    maps.push_back(
        weighted_map(std::span(values).subspan(i * size, size), weights_of(i), shape[1], shape[2]));
  }
  return maps;
}

// The head's Dense layer when there is one behind pooling, and nothing else that does anything.
const Layer* only_dense(const Model& model) {
  std::int64_t dense = 0, pools = 0;
  for (const HeadLayerSpec& layer : model.spec().head) {
    dense += layer.type == "Dense" ? 1 : 0;
    pools += layer.type == "GlobalAveragePooling2D" ? 1 : 0;
  }
  const auto& head = model.spec().head;
  const bool bends = !head.empty() && head.back().activation == "relu";
  return dense == 1 && pools == 1 && !bends ? model.layers().back() : nullptr;
}

}  // namespace

std::vector<HeatMap> grad_cam(const Context& ctx, const Model& model, const Tensor& images,
                              std::span<const std::int32_t> classes, const std::string& layer) {
  check_classes(model, images, classes);
  const std::string wanted = layer.empty() ? model.backbone().layers().back()->name() : layer;
  Tape tape;
  const Context recorded = ctx.inference().with_recorder(&tape);
  Tensor output;
  std::string known;
  const Tensor logits = model.logits(recorded, images, [&](const std::string& name, const Tensor& value) {
    known += (known.empty() ? "" : ", ") + name;
    if (name != wanted) return;
    output = value;
    tape.watch(value);
  });
  if (!output) throw UsageError("[grad-cam] expected a layer of " + known + ", got '" + wanted + "'");
  const Context plain = ctx.inference().no_grad();
  const Tensor loss = ops::sum(recorded, ops::multiply(recorded, logits, one_hot(plain, logits, classes)));
  const Tensor gradient = tape.backward(plain, loss).of(output);
  const Tensor pooled = ops::global_average_pool(plain, gradient);
  const auto weights = on_host(plain, pooled);
  const auto channels = static_cast<std::size_t>(pooled.shape()[1]);
  return maps_of(plain, output,
                 [&](std::size_t i) { return std::span(weights).subspan(i * channels, channels); });
}

bool has_pooled_class_map(const Model& model) { return only_dense(model) != nullptr; }

std::vector<HeatMap> pooled_class_map(const Context& ctx, const Model& model, const Tensor& images,
                                      std::span<const std::int32_t> classes) {
  const Layer* dense = only_dense(model);
  if (dense == nullptr) {
    throw UsageError("[class map] expected a head of pooling and one Dense layer, got another one");
  }
  check_classes(model, images, classes);
  const Context plain = ctx.inference().no_grad();
  const Tensor features = model.features(plain, images);
  const Tensor& kernel = dense->parameters().front().value;  // [channels, classes]
  const auto values = on_host(plain, kernel);
  const auto channels = static_cast<std::size_t>(kernel.shape()[0]);
  const auto width = static_cast<std::size_t>(kernel.shape()[1]);
  std::vector<double> weights(channels);
  return maps_of(plain, features, [&](std::size_t i) {
    for (std::size_t c = 0; c < channels; ++c) {
      weights[c] = values[c * width + static_cast<std::size_t>(classes[i])];
    }
    return std::span<const double>(weights);
  });
}

}  // namespace pila
