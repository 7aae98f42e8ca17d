#include "engine/optim/average.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/ops/support.h"
#include "engine/optim/parameters.h"

namespace pila {
namespace {

// In place. Inputs: the momentum, then value and average of each weight.
class WeightAverage : public Op {
 public:
  std::string_view name() const override { return "weight_average"; }
  bool writes(std::size_t input) const override { return input >= 2 && input % 2 == 0; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec>) const override { return {}; }

  void run(const Context& ctx, std::span<const Tensor> inputs, std::span<const Tensor>) const override {
    std::vector<kernels::AverageSegment> segments;
    segments.reserve(inputs.size() / 2);
    for (std::size_t i = 1; i < inputs.size(); i += 2) {
      segments.push_back({inputs[i].data(), inputs[i + 1].data(), inputs[i].shape().elements()});
    }
    kernels::WeightAverage args;
    args.type = inputs[1].type();
    args.segments = segments.data();
    args.segment_count = static_cast<std::int64_t>(segments.size());
    args.momentum = inputs[0].data_as<double>();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override { return {}; }
};

}  // namespace

ExponentialAverage::ExponentialAverage(const Context& ctx, std::vector<Tensor> values, AverageOptions options)
    : options_(options), values_(std::move(values)) {
  if (!(options_.momentum >= 0 && options_.momentum < 1)) {
    throw UsageError("[weight_average] expected a momentum of at least 0 and below 1, got " +
                     std::to_string(options_.momentum));
  }
  check_parameters("weight_average", values_);
  for (const Tensor& value : values_) {
    averages_.push_back(Tensor::empty(ctx, value.spec()));
    averages_.back().assign(ctx, value);
  }
  handed_over_.resize(values_.size());
  momentum_ = Tensor::empty(ctx, {{}, DType::f64});
}

void ExponentialAverage::update(const Context& ctx) {
  advance(ctx);
  accumulate(ctx);
}

void ExponentialAverage::advance(const Context& ctx) {
  const auto t = static_cast<double>(updates_++);
  double momentum = t == 0 ? 0 : options_.momentum;
  if (options_.warm_up) momentum = std::min(momentum, (1 + t) / (10 + t));
  momentum_.assign<double>(ctx, {&momentum, 1});
}

void ExponentialAverage::accumulate(const Context& ctx) const {
  std::vector<Tensor> inputs = {momentum_};
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (!handed_over_[i]) inputs.insert(inputs.end(), {values_[i], averages_[i]});
  }
  if (inputs.size() > 1) apply(ctx, std::make_shared<const WeightAverage>(), inputs);
}

Tensor ExponentialAverage::hand_over(const Tensor& value) {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].id() != value.id()) continue;
    handed_over_[i] = true;
    return averages_[i];
  }
  return {};
}

void ExponentialAverage::swap(const Context& ctx) const {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const Tensor kept = Tensor::empty(ctx, values_[i].spec());
    kept.assign(ctx, values_[i]);
    values_[i].assign(ctx, averages_[i]);
    averages_[i].assign(ctx, kept);
  }
}

}  // namespace pila
