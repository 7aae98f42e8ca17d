#include "engine/optim/adam.h"

#include <string>

#include "engine/ops/support.h"
#include "engine/optim/average.h"
#include "engine/optim/clipping.h"
#include "engine/optim/parameters.h"

namespace pila {
namespace {

// In place. Inputs: the step count, the rate, the gradients' scale, then value, gradient, first and second
// moment of each parameter; where parameters are averaged, the momentum and their averages behind all.
class AdamUpdate : public Op {
 public:
  struct Segment {
    double weight_decay, rate_factor;
    bool averaged;
  };

  AdamUpdate(const AdamOptions& options, std::vector<Segment> segments)
      : options_(options), segments_(std::move(segments)) {}
  std::string_view name() const override { return "adam"; }
  bool writes(std::size_t input) const override {
    if (input >= momentum()) return input > momentum();
    return input >= kFirst && (input - kFirst) % 4 != 1;
  }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    for (std::size_t i = kFirst; i < momentum(); i += 4) {
      if (inputs[i + 1] != inputs[i]) {
        ops::throw_expected(name(), "a gradient of " + inputs[i].to_string(), inputs[i + 1].to_string());
      }
    }
    return {};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs, std::span<const Tensor>) const override {
    std::vector<kernels::AdamSegment> segments;
    segments.reserve(segments_.size());
    std::size_t average = momentum();
    for (std::size_t s = 0; s < segments_.size(); ++s) {
      const Tensor* of = &inputs[kFirst + 4 * s];
      segments.push_back({of[0].data(), of[1].data(), of[2].data(), of[3].data(), of[0].shape().elements(),
                          segments_[s].weight_decay, segments_[s].rate_factor,
                          segments_[s].averaged ? inputs[++average].data() : nullptr});
    }
    kernels::Adam args;
    args.type = inputs[1].type();
    args.segments = segments.data();
    args.segment_count = static_cast<std::int64_t>(segments.size());
    args.beta1 = options_.beta1;
    args.beta2 = options_.beta2;
    args.epsilon = options_.epsilon;
    args.step = inputs[0].data_as<std::int64_t>();
    args.rate = inputs[1].data();
    args.gradient_scale = inputs[2].data();
    if (average > momentum()) args.momentum = inputs[momentum()].data_as<double>();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override { return {}; }

 private:
  static constexpr std::size_t kFirst = 3;
  std::size_t momentum() const { return kFirst + 4 * segments_.size(); }  // where it would be

  AdamOptions options_;
  std::vector<Segment> segments_;
};

}  // namespace

Adam::Adam(const Context& ctx, std::vector<AdamParameter> parameters, AdamOptions options,
           ExponentialAverage* average)
    : parameters_(std::move(parameters)), options_(options) {
  if (!(options_.clip_norm > 0)) {
    throw UsageError("[adam] expected a clip_norm above 0, got " + std::to_string(options_.clip_norm));
  }
  std::vector<Tensor> values;
  values.reserve(parameters_.size());
  for (const AdamParameter& parameter : parameters_) values.push_back(parameter.value);
  check_parameters("adam", values);
  for (const Tensor& value : values) {
    first_moments_.push_back(Tensor::zeros(ctx, value.spec()));
    second_moments_.push_back(Tensor::zeros(ctx, value.spec()));
    averages_.push_back(average != nullptr ? average->hand_over(value) : Tensor());
  }
  if (average != nullptr) momentum_ = average->momentum();
  const DType type = values.empty() ? DType::f32 : values[0].type();
  step_ = Tensor::empty(ctx, {{}, DType::i64});
  rate_ = Tensor::empty(ctx, {{}, type});
  norm_ = Tensor::zeros(ctx, {{}, type});
  scale_ = Tensor::full(ctx, {{}, type}, 1);
  restore_steps(ctx, 0);
}

void Adam::restore_steps(const Context& ctx, std::int64_t steps) {
  steps_ = steps;
  step_.assign<std::int64_t>(ctx, {&steps, 1});
}

void Adam::step(const Context& ctx, const Gradients& gradients, double rate) {
  advance(ctx, rate);
  update(ctx, gradients);
}

void Adam::advance(const Context& ctx, double rate) {
  restore_steps(ctx, steps_ + 1);
  if (rate_.type() == DType::f64) {
    rate_.assign<double>(ctx, {&rate, 1});
  } else {
    const auto rounded = static_cast<float>(rate);
    rate_.assign<float>(ctx, {&rounded, 1});
  }
}

void Adam::update(const Context& ctx, const Gradients& gradients, const Tensor& loss_scale) const {
  std::vector<Tensor> inputs = {step_, rate_, scale_};
  std::vector<Tensor> used, averages;
  std::vector<AdamUpdate::Segment> segments;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const AdamParameter& parameter = parameters_[i];
    const Tensor gradient = gradients.of(parameter.value);
    if (!gradient) continue;
    used.push_back(gradient);
    inputs.insert(inputs.end(), {parameter.value, gradient, first_moments_[i], second_moments_[i]});
    segments.push_back({parameter.weight_decay < 0 ? options_.weight_decay : parameter.weight_decay,
                        parameter.rate_factor, averages_[i].defined()});
    if (averages_[i]) averages.push_back(averages_[i]);
  }
  if (segments.empty()) return;
  if (!averages.empty()) inputs.push_back(momentum_);
  inputs.insert(inputs.end(), averages.begin(), averages.end());
  global_norm(ctx, used, options_.clip_norm, norm_, scale_, loss_scale);
  apply(ctx, std::make_shared<const AdamUpdate>(options_, std::move(segments)), inputs);
}

}  // namespace pila
