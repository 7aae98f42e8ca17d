// Softmax and cross-entropy.
#include "engine/ops/support.h"

namespace pila::ops {
namespace {

template <class Args>
Args softmax_args(const Tensor& x) {
  Args args;
  args.type = x.type();
  args.columns = x.shape()[-1];
  args.rows = x.shape().elements() / args.columns;
  return args;
}

// dx = y * (dy - sum(dy * y)): y times dy by a symmetric matrix.
class SoftmaxBackward : public Op {
 public:
  std::string_view name() const override { return "softmax_backward"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    return {inputs[0]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = softmax_args<kernels::SoftmaxBackward>(inputs[0]);
    args.y = inputs[0].data();
    args.dy = inputs[1].data();
    args.dx = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool>) const override { return {1, 0}; }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    if (args.wanted[0])
      throw_no_gradient(name(), "of softmax's gradient by its output (its second derivative)");
    return {{}, apply_to_one<SoftmaxBackward>(ctx, {args.inputs[0], args.output_gradients[0]})};
  }
};

class Softmax : public Op {
 public:
  std::string_view name() const override { return "softmax"; }
  Attributes attributes() const override { return SoftmaxAttributes{}; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    if (inputs[0].shape.rank() == 0) throw_expected(name(), "at least one axis", inputs);
    return {inputs[0]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = softmax_args<kernels::SoftmaxForward>(inputs[0]);
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool>) const override { return {0, 1}; }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    return {apply_to_one<SoftmaxBackward>(ctx, {args.outputs[0], args.output_gradients[0]})};
  }
};

template <class Args>
Args cross_entropy_args(double smoothing, const Tensor& logits, const Tensor& labels) {
  Args args;
  args.type = logits.type();
  args.rows = logits.shape()[0];
  args.classes = logits.shape()[1];
  args.smoothing = smoothing;
  args.logits = logits.data();
  args.labels = labels.data_as<std::int32_t>();
  return args;
}

// dlogits from logits, labels, dlosses and class weights or none.
class CrossEntropyBackward : public Op {
 public:
  explicit CrossEntropyBackward(double smoothing) : smoothing_(smoothing) {}
  std::string_view name() const override { return "sparse_cross_entropy_backward"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override { return {inputs[0]}; }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = cross_entropy_args<kernels::CrossEntropyBackward>(smoothing_, inputs[0], inputs[1]);
    args.dlosses = inputs[2].data();
    args.class_weights = inputs.size() > 3 ? inputs[3].data() : nullptr;
    args.dlogits = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of cross-entropy's gradient (its second derivative)");
  }

 private:
  double smoothing_;
};

class CrossEntropy : public Op {
 public:
  explicit CrossEntropy(double smoothing) : smoothing_(smoothing) {}
  std::string_view name() const override { return "sparse_cross_entropy"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    const TensorSpec& logits = inputs[0];
    check_same_type(name(), inputs.first(1));
    if (logits.shape.rank() != 2 || inputs[1] != TensorSpec{{logits.shape[0]}, DType::i32}) {
      throw_expected(name(), "logits [n, classes] and labels int32[n]", inputs);
    }
    if (inputs.size() > 2 && inputs[2] != TensorSpec{{logits.shape[1]}, logits.type}) {
      throw_expected(name(), "class weights [classes] of the logits' type", inputs);
    }
    return {{Shape{logits.shape[0]}, logits.type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    auto args = cross_entropy_args<kernels::CrossEntropyForward>(smoothing_, inputs[0], inputs[1]);
    args.class_weights = inputs.size() > 2 ? inputs[2].data() : nullptr;
    args.losses = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool>) const override { return {7, 0}; }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    std::vector<Tensor> gradients(args.inputs.size());
    if (gradients.size() > 2 && args.wanted[2]) throw_no_gradient(name(), "of class weights");
    const auto op = std::make_shared<const CrossEntropyBackward>(smoothing_);
    const bool weighted = gradients.size() > 2;
    const Tensor inputs[] = {args.inputs[0], args.inputs[1], args.output_gradients[0],
                             weighted ? args.inputs[2] : Tensor()};
    gradients[0] = std::move(apply(ctx, op, {inputs, weighted ? 4u : 3u})[0]);
    return gradients;
  }

 private:
  double smoothing_;
};

}  // namespace

Tensor softmax(const Context& ctx, const Tensor& x) { return apply_to_one<Softmax>(ctx, {x}); }

Tensor sparse_cross_entropy(const Context& ctx, const Tensor& logits, const Tensor& labels, double smoothing,
                            const Tensor& class_weights) {
  if (!(smoothing >= 0 && smoothing <= 1)) {
    throw_expected("sparse_cross_entropy", "a smoothing in [0, 1]", std::to_string(smoothing));
  }
  const auto op = std::make_shared<const CrossEntropy>(smoothing);
  const Tensor inputs[] = {logits, labels, class_weights};
  return std::move(apply(ctx, op, {inputs, class_weights ? 3u : 2u})[0]);
}

}  // namespace pila::ops
