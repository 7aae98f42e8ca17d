#include <array>

#include "engine/ops/support.h"

namespace pila::ops {
namespace {

std::int64_t columns_of(const Shape& shape) { return shape[-1]; }

std::int64_t rows_of(const Shape& shape) {
  std::int64_t rows = 1;
  for (int axis = 0; axis + 1 < shape.rank(); ++axis) rows *= shape[axis];
  return rows;
}

// y = activation(op(a) op(b) + bias), tensors read as matrices of their last axis.
class Matmul : public Op {
 public:
  Matmul(const Shape& a, const Shape& b, const Shape& y, bool transpose_a, bool transpose_b,
         Activation activation)
      : a_(a), b_(b), y_(y), transpose_a_(transpose_a), transpose_b_(transpose_b), activation_(activation) {}

  std::string_view name() const override { return "matmul"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    const kernels::Matmul args = extents();
    const std::int64_t inner = transpose_b_ ? columns_of(b_) : rows_of(b_);
    const bool bias_fits = inputs.size() < 3 || inputs[2].shape == Shape{args.n};
    if (inner != args.k || y_.elements() != args.m * args.n || !bias_fits) {
      throw_expected(name(),
                     std::string("matrices a") + (transpose_a_ ? "^T" : "") + " and b" +
                         (transpose_b_ ? "^T" : "") + " with a common inner extent and a bias of b's columns",
                     inputs);
    }
    return {{y_, inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::Matmul args = extents();
    args.type = inputs[0].type();
    args.a = inputs[0].data();
    args.b = inputs[1].data();
    args.c = outputs[0].data();
    args.epilogue.bias = inputs.size() > 2 ? inputs[2].data() : nullptr;
    args.epilogue.activation = activation_;
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool> wanted) const override {
    return {(wanted[0] ? 2u : 0u) | (wanted[1] ? 1u : 0u), activation_ == Activation::none ? 0u : 1u};
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    const Tensor& a = args.inputs[0];
    const Tensor& b = args.inputs[1];
    const Tensor dy = activation_gradient(ctx, activation_, args.outputs[0], args.output_gradients[0]);
    std::vector<Tensor> gradients(args.inputs.size());
    if (args.wanted[0]) {
      gradients[0] = transpose_a_ ? product(ctx, b, dy, transpose_b_, true, a_)
                                  : product(ctx, dy, b, false, !transpose_b_, a_);
    }
    if (args.wanted[1]) {
      gradients[1] = transpose_b_ ? product(ctx, dy, a, true, transpose_a_, b_)
                                  : product(ctx, a, dy, !transpose_a_, false, b_);
    }
    if (gradients.size() > 2 && args.wanted[2]) gradients[2] = bias_gradient(ctx, dy);
    return gradients;
  }

 private:
  static Tensor product(const Context& ctx, const Tensor& a, const Tensor& b, bool transpose_a,
                        bool transpose_b, const Shape& shape) {
    return folded_matmul(ctx, a, b, transpose_a, transpose_b, {}, Activation::none, shape);
  }

  kernels::Matmul extents() const {
    kernels::Matmul args;
    args.m = transpose_a_ ? columns_of(a_) : rows_of(a_);
    args.k = transpose_a_ ? rows_of(a_) : columns_of(a_);
    args.n = transpose_b_ ? rows_of(b_) : columns_of(b_);
    args.transpose_a = transpose_a_;
    args.transpose_b = transpose_b_;
    return args;
  }

  Shape a_, b_, y_;
  bool transpose_a_, transpose_b_;
  Activation activation_;
};

}  // namespace

Tensor folded_matmul(const Context& ctx, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b,
                     const Tensor& bias, Activation activation, const Shape& shape) {
  const auto op =
      std::make_shared<const Matmul>(a.shape(), b.shape(), shape, transpose_a, transpose_b, activation);
  const Tensor inputs[] = {a, b, bias};
  return std::move(apply(ctx, op, {inputs, bias ? 3u : 2u})[0]);
}

Tensor matmul(const Context& ctx, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b,
              const Tensor& bias) {
  if (a.shape().rank() != 2 || b.shape().rank() != 2) {
    throw_expected("matmul", "two matrices", to_string(std::array{a, b}));
  }
  const Shape y{a.shape()[transpose_a ? 1 : 0], b.shape()[transpose_b ? 0 : 1]};
  return folded_matmul(ctx, a, b, transpose_a, transpose_b, bias, Activation::none, y);
}

Tensor dense(const Context& ctx, const Tensor& x, const Tensor& kernel, const Tensor& bias) {
  if (x.shape().rank() != 2 || kernel.shape().rank() != 2 || x.shape()[1] != kernel.shape()[0]) {
    throw_expected("dense", "x [n, inputs] and a kernel [inputs, outputs]", to_string(std::array{x, kernel}));
  }
  return matmul(ctx, x, kernel, false, false, bias);
}

}  // namespace pila::ops
