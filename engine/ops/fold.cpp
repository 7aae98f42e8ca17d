// Batch normalisation by given statistics as part of the convolution before it.
#include "engine/ops/support.h"

namespace pila::ops {
namespace {

template <class Args>
Args args_for(const Tensor& w, const Tensor& gamma, double epsilon) {
  Args args;
  args.type = w.type();
  args.channels = gamma.shape()[0];
  args.rows = w.shape().elements() / args.channels;
  args.epsilon = epsilon;
  args.w = w.data();
  args.gamma = gamma.data();
  return args;
}

// The wanted ones of dw and dgamma from w, gamma, mean, variance, dfolded and dbias.
class FoldBatchNormBackward : public Op {
 public:
  struct Wanted {
    bool w, gamma;
  };

  FoldBatchNormBackward(double epsilon, Wanted wanted) : epsilon_(epsilon), wanted_(wanted) {}
  std::string_view name() const override { return "fold_batch_norm_backward"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    std::vector<TensorSpec> outputs;
    if (wanted_.w) outputs.push_back(inputs[0]);
    if (wanted_.gamma) outputs.push_back(inputs[1]);
    return outputs;
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = args_for<kernels::FoldBatchNormBackward>(inputs[0], inputs[1], epsilon_);
    args.mean = inputs[2].data();
    args.variance = inputs[3].data();
    args.dfolded = inputs[4].data();
    args.dbias = inputs[5].data();
    if (wanted_.w) args.dw = outputs.front().data();
    if (wanted_.gamma) args.dgamma = outputs.back().data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of a folded convolution's gradient (its second derivative)");
  }

 private:
  double epsilon_;
  Wanted wanted_;
};

// Inputs: w, gamma, beta, mean, variance.
class FoldBatchNorm : public Op {
 public:
  explicit FoldBatchNorm(double epsilon) : epsilon_(epsilon) {}
  std::string_view name() const override { return "fold_batch_norm"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    const Shape &w = inputs[0].shape, &channels = inputs[1].shape;
    const bool dense = w.rank() == 4 && Shape{w[3]} == channels;
    const bool depthwise = w.rank() == 4 && Shape{w[2] * w[3]} == channels;
    bool fits = dense || depthwise;
    for (const TensorSpec& input : inputs.subspan(1)) fits = fits && input.shape == channels;
    if (!fits) throw_expected(name(), "a kernel HWIO or HWCM and four tensors of its channels", inputs);
    return {inputs[0], inputs[1]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = args_for<kernels::FoldBatchNorm>(inputs[0], inputs[1], epsilon_);
    args.beta = inputs[2].data();
    args.mean = inputs[3].data();
    args.variance = inputs[4].data();
    args.folded = outputs[0].data();
    args.bias = outputs[1].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool> wanted) const override {
    return {wanted[0] || wanted[1] ? 1u | 2u | 8u | 16u : 0u, 0};
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    if (args.wanted[3] || args.wanted[4]) throw_no_gradient(name(), "of given statistics");
    const Tensor &dfolded = args.output_gradients[0], &dbias = args.output_gradients[1];
    if (!dfolded || !dbias) throw_no_gradient(name(), "of folded weights without their bias, or of it alone");
    std::vector<Tensor> gradients(args.inputs.size());
    if (args.wanted[2]) gradients[2] = dbias;
    const FoldBatchNormBackward::Wanted wanted{args.wanted[0], args.wanted[1]};
    if (!wanted.w && !wanted.gamma) return gradients;
    const std::vector<Tensor> computed = apply_new<FoldBatchNormBackward>(
        ctx, {args.inputs[0], args.inputs[1], args.inputs[3], args.inputs[4], dfolded, dbias}, epsilon_,
        wanted);
    if (wanted.w) gradients[0] = computed.front();
    if (wanted.gamma) gradients[1] = computed.back();
    return gradients;
  }

 private:
  double epsilon_;
};

}  // namespace

FoldedWeights fold_batch_norm(const Context& ctx, const Tensor& kernel, const Tensor& gamma,
                              const Tensor& beta, const Tensor& mean, const Tensor& variance,
                              double epsilon) {
  std::vector<Tensor> outputs = apply_new<FoldBatchNorm>(ctx, {kernel, gamma, beta, mean, variance}, epsilon);
  return {std::move(outputs[0]), std::move(outputs[1])};
}

}  // namespace pila::ops
