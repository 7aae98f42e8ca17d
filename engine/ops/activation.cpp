#include "engine/ops/support.h"

namespace pila::ops {
namespace {

class ActivationBackward : public Op {
 public:
  explicit ActivationBackward(Activation kind) : kind_(kind) {}
  std::string_view name() const override { return "activation_backward"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    if (inputs[0].shape != inputs[1].shape) throw_expected(name(), "two tensors of one shape", inputs);
    return {inputs[0]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::ActivationBackward args;
    args.type = inputs[0].type();
    args.kind = kind_;
    args.count = inputs[0].shape().elements();
    args.value = inputs[0].data();
    args.dy = inputs[1].data();
    args.dx = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool>) const override { return {3, 0}; }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    const Tensor& value = args.inputs[0];
    const Tensor& g = args.output_gradients[0];
    std::vector<Tensor> gradients(2);
    if (args.wanted[1]) gradients[1] = activation_gradient(ctx, kind_, value, g);
    if (args.wanted[0] && kind_ == Activation::sigmoid) {  // d (y - y^2) dy / dy's y
      gradients[0] = multiply(ctx, multiply(ctx, args.inputs[1], g), affine(ctx, value, -2, 1));
    } else if (args.wanted[0] && kind_ == Activation::silu) {
      throw_no_gradient(name(), "of silu's slope");
    }  // relu's and relu6's slopes are constant
    return gradients;
  }

 private:
  Activation kind_;
};

class ActivationForward : public Op {
 public:
  explicit ActivationForward(Activation kind) : kind_(kind) {}
  std::string_view name() const override { return "activation"; }
  Attributes attributes() const override { return ActivationAttributes{kind_}; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    return {inputs[0]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::ActivationForward args;
    args.type = inputs[0].type();
    args.kind = kind_;
    args.count = inputs[0].shape().elements();
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool>) const override {
    return gradient_from_output(kind_) ? Saved{0, 1} : Saved{1, 0};
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    const Tensor& value = gradient_from_output(kind_) ? args.outputs[0] : args.inputs[0];
    return {activation_gradient(ctx, kind_, value, args.output_gradients[0])};
  }

 private:
  Activation kind_;
};

}  // namespace

Tensor activation(const Context& ctx, const Tensor& x, Activation kind) {
  return kind == Activation::none ? x : apply_to_one<ActivationForward>(ctx, {x}, kind);
}

Tensor activation_gradient(const Context& ctx, Activation kind, const Tensor& value, const Tensor& dy) {
  return kind == Activation::none ? dy : apply_to_one<ActivationBackward>(ctx, {value, dy}, kind);
}

}  // namespace pila::ops
