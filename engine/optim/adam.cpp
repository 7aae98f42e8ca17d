#include "engine/optim/adam.h"

#include <set>
#include <string>

#include "engine/ops/support.h"

namespace pila {
namespace {

// In place. Inputs: the step count, the rate, then value, gradient, first and second moment of each
// parameter.
class AdamUpdate : public Op {
 public:
  struct Segment {
    double weight_decay, rate_factor;
  };

  AdamUpdate(const AdamOptions& options, std::vector<Segment> segments)
      : options_(options), segments_(std::move(segments)) {}
  std::string_view name() const override { return "adam"; }
  bool writes(std::size_t input) const override { return input >= 2 && input % 4 != 3; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    for (std::size_t i = 2; i < inputs.size(); i += 4) {
      if (inputs[i + 1] != inputs[i]) {
        ops::throw_expected(name(), "a gradient of " + inputs[i].to_string(), inputs[i + 1].to_string());
      }
    }
    return {};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs, std::span<const Tensor>) const override {
    std::vector<kernels::AdamSegment> segments;
    segments.reserve(segments_.size());
    for (std::size_t s = 0; s < segments_.size(); ++s) {
      const Tensor* of = &inputs[2 + 4 * s];
      segments.push_back({of[0].data(), of[1].data(), of[2].data(), of[3].data(), of[0].shape().elements(),
                          segments_[s].weight_decay, segments_[s].rate_factor});
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
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override { return {}; }

 private:
  AdamOptions options_;
  std::vector<Segment> segments_;
};

}  // namespace

Adam::Adam(const Context& ctx, std::vector<AdamParameter> parameters, AdamOptions options)
    : parameters_(std::move(parameters)), options_(options) {
  const DType type = parameters_.empty() ? DType::f32 : parameters_[0].value.type();
  std::set<std::uint64_t> seen;
  for (const AdamParameter& parameter : parameters_) {
    const TensorSpec& spec = parameter.value.spec();
    if (spec.type != type || (type != DType::f32 && type != DType::f64)) {
      ops::throw_expected("adam", "parameters of one type, float32 or float64",
                          to_string(type) + " and " + spec.to_string());
    }
    if (!seen.insert(parameter.value.id()).second) {
      throw UsageError("[adam] expected each parameter once, got " + spec.to_string() + " twice");
    }
    first_moments_.push_back(Tensor::zeros(ctx, spec));
    second_moments_.push_back(Tensor::zeros(ctx, spec));
  }
  step_ = Tensor::empty(ctx, {{}, DType::i64});
  rate_ = Tensor::empty(ctx, {{}, type});
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

void Adam::update(const Context& ctx, const Gradients& gradients) const {
  std::vector<Tensor> inputs = {step_, rate_};
  std::vector<AdamUpdate::Segment> segments;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const AdamParameter& parameter = parameters_[i];
    const Tensor gradient = gradients.of(parameter.value);
    if (!gradient) continue;
    inputs.insert(inputs.end(), {parameter.value, gradient, first_moments_[i], second_moments_[i]});
    segments.push_back(
        {parameter.weight_decay < 0 ? options_.weight_decay : parameter.weight_decay, parameter.rate_factor});
  }
  if (segments.empty()) return;
  apply(ctx, std::make_shared<const AdamUpdate>(options_, std::move(segments)), inputs);
}

}  // namespace pila
