// Batch normalisation over the last axis, and averages that move in place.
#include "engine/ops/norm_gradients.h"
#include "engine/ops/shared_norm.h"
#include "engine/ops/support.h"

namespace pila::ops {
namespace {

// Inputs: x, then gamma, beta and perhaps mean and variance.
void check_batch_norm(std::string_view op, std::span<const TensorSpec> inputs) {
  check_same_type(op, inputs.first(1));
  const TensorSpec& x = inputs[0];
  if (x.shape.rank() == 0) throw_expected(op, "x with channels", inputs);
  const TensorSpec parameter{{x.shape[-1]}, channel_type(x.type)};
  for (const TensorSpec& input : inputs.subspan(1)) {
    if (input != parameter) {
      throw_expected(op, "parameters and statistics of " + parameter.to_string() + " for x", inputs);
    }
  }
}

template <class Args>
Args args_for(const Tensor& x, double epsilon, Activation activation) {
  Args args;
  args.type = x.type();
  args.channels = x.shape()[-1];
  args.rows = x.shape().elements() / args.channels;
  args.epsilon = epsilon;
  args.activation = activation;
  args.x = x.data();
  return args;
}

// The wanted ones of dx, dgamma and dbeta from x, gamma, beta, mean, variance and dy.
class BatchNormBackward : public Op {
 public:
  struct Wanted {
    bool x, gamma, beta;
  };

  BatchNormBackward(double epsilon, Activation activation, bool batch_statistics, Wanted wanted)
      : epsilon_(epsilon), activation_(activation), batch_statistics_(batch_statistics), wanted_(wanted) {}
  std::string_view name() const override { return "batch_norm_backward"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    std::vector<TensorSpec> outputs;
    outputs.reserve(3);
    if (wanted_.x) outputs.push_back(inputs[0]);
    if (wanted_.gamma) outputs.push_back(inputs[1]);
    if (wanted_.beta) outputs.push_back(inputs[2]);
    return outputs;
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = args_for<kernels::BatchNormBackward>(inputs[0], epsilon_, activation_);
    args.batch_statistics = batch_statistics_;
    args.gamma = inputs[1].data();
    args.beta = inputs[2].data();
    args.mean = inputs[3].data();
    args.variance = inputs[4].data();
    args.dy = inputs[5].data();
    const Tensor* output = outputs.data();
    if (wanted_.x) args.dx = (output++)->data();
    if (wanted_.gamma) args.dgamma = (output++)->data();
    if (wanted_.beta) args.dbeta = (output++)->data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of batch normalisation's gradient (its second derivative)");
  }

 private:
  double epsilon_;
  Activation activation_;
  bool batch_statistics_;
  Wanted wanted_;
};

class BatchNormTraining : public Op {
 public:
  BatchNormTraining(double epsilon, Activation activation) : epsilon_(epsilon), activation_(activation) {}
  std::string_view name() const override { return "batch_norm_training"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_batch_norm(name(), inputs);
    return {inputs[0], inputs[1], inputs[1]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = args_for<kernels::BatchNormTraining>(inputs[0], epsilon_, activation_);
    args.gamma = inputs[1].data();
    args.beta = inputs[2].data();
    args.y = outputs[0].data();
    args.mean = outputs[1].data();
    args.variance = outputs[2].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool>) const override { return {7, 6}; }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    if (args.output_gradients[1] || args.output_gradients[2]) {
      throw_no_gradient(name(), "of the batch's statistics");
    }
    return batch_norm_gradients(ctx, args, args.outputs[1], args.outputs[2], args.output_gradients[0],
                                {epsilon_, activation_}, true);
  }

 private:
  double epsilon_;
  Activation activation_;
};

// Mean, variance and scaling of x, gamma and beta. Whoever reads x by the scaling finds the way back of both.
class BatchNormMeasure : public Op {
 public:
  explicit BatchNormMeasure(double epsilon) : epsilon_(epsilon) {}
  std::string_view name() const override { return "batch_norm_measure"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_batch_norm(name(), inputs);
    const TensorSpec& gamma = inputs[1];
    return {gamma, gamma, {{3, gamma.shape[0]}, gamma.type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = args_for<kernels::BatchNormTraining>(inputs[0], epsilon_, Activation::none);
    args.gamma = inputs[1].data();
    args.beta = inputs[2].data();
    args.mean = outputs[0].data();
    args.variance = outputs[1].data();
    args.scaling = outputs[2].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of the batch's statistics");
  }

 private:
  double epsilon_;
};

class BatchNormInference : public Op {
 public:
  explicit BatchNormInference(const BatchNormAttributes& attributes) : attributes_(attributes) {}
  std::string_view name() const override { return "batch_norm_inference"; }
  Attributes attributes() const override { return attributes_; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_batch_norm(name(), inputs);
    return {inputs[0]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = args_for<kernels::BatchNormInference>(inputs[0], attributes_.epsilon, attributes_.activation);
    args.gamma = inputs[1].data();
    args.beta = inputs[2].data();
    args.mean = inputs[3].data();
    args.variance = inputs[4].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool>) const override { return {31, 0}; }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    if (args.wanted[3] || args.wanted[4]) throw_no_gradient(name(), "of given statistics");
    return batch_norm_gradients(ctx, args, args.inputs[3], args.inputs[4], args.output_gradients[0],
                                attributes_, false);
  }

 private:
  BatchNormAttributes attributes_;
};

class MovingAverage : public Op {
 public:
  explicit MovingAverage(double momentum) : momentum_(momentum) {}
  std::string_view name() const override { return "moving_average"; }
  bool writes(std::size_t input) const override { return input == 0; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    if (inputs[0] != inputs[1])
      throw_expected(name(), "an average and a value of one shape and type", inputs);
    return {};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs, std::span<const Tensor>) const override {
    kernels::MovingAverage args;
    args.type = inputs[0].type();
    args.count = inputs[0].shape().elements();
    args.momentum = momentum_;
    args.average = inputs[0].data();
    args.value = inputs[1].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override { return {}; }

 private:
  double momentum_;
};

}  // namespace

std::vector<Tensor> batch_norm_gradients(const Context& ctx, const BackwardArgs& args, const Tensor& mean,
                                         const Tensor& variance, const Tensor& dy,
                                         const BatchNormAttributes& attributes, bool batch_statistics) {
  const BatchNormBackward::Wanted wanted{args.wanted[0], args.wanted[1], args.wanted[2]};
  std::vector<Tensor> computed =
      apply_new<BatchNormBackward>(ctx, {args.inputs[0], args.inputs[1], args.inputs[2], mean, variance, dy},
                                   attributes.epsilon, attributes.activation, batch_statistics, wanted);
  std::vector<Tensor> gradients(args.inputs.size());
  auto next = computed.begin();
  for (std::size_t i = 0; i < 3; ++i) {
    if (args.wanted[i]) gradients[i] = std::move(*next++);
  }
  return gradients;
}

std::shared_ptr<const Op> make_op(const BatchNormAttributes& attributes) {
  return std::make_shared<const BatchNormInference>(attributes);
}

BatchNormResult batch_norm_training(const Context& ctx, const Tensor& x, const Tensor& gamma,
                                    const Tensor& beta, double epsilon, Activation activation) {
  if (ctx.share().total > 0) return shared_batch_norm(ctx, x, gamma, beta, epsilon, activation);
  std::vector<Tensor> outputs = apply_new<BatchNormTraining>(ctx, {x, gamma, beta}, epsilon, activation);
  return {std::move(outputs[0]), std::move(outputs[1]), std::move(outputs[2])};
}

Unnormalised batch_norm_by_reader(const Context& ctx, const Tensor& x, const Tensor& gamma,
                                  const Tensor& beta, double epsilon, Activation activation) {
  std::vector<Tensor> outputs = apply_new<BatchNormMeasure>(ctx, {x, gamma, beta}, epsilon);
  return {x,       gamma,     beta, std::move(outputs[0]), std::move(outputs[1]), std::move(outputs[2]),
          epsilon, activation};
}

Tensor batch_norm_inference(const Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                            const Tensor& mean, const Tensor& variance, double epsilon,
                            Activation activation) {
  return apply_to_one<BatchNormInference>(ctx, {x, gamma, beta, mean, variance},
                                          BatchNormAttributes{epsilon, activation});
}

void moving_average(const Context& ctx, const Tensor& average, const Tensor& value, double momentum) {
  apply_new<MovingAverage>(ctx, {average, value}, momentum);
}

}  // namespace pila::ops
