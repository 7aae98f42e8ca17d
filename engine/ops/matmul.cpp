#include <array>

#include "engine/ops/one_pass.h"
#include "engine/ops/support.h"

namespace pila::ops {
namespace {

std::int64_t columns_of(const Shape& shape) { return shape[-1]; }

std::int64_t rows_of(const Shape& shape) {
  std::int64_t rows = 1;
  for (int axis = 0; axis + 1 < shape.rank(); ++axis) rows *= shape[axis];
  return rows;
}

// Tensors are read as matrices of their last axis.
class Matmul : public Op {
 public:
  explicit Matmul(const MatmulAttributes& attributes) : attributes_(attributes) {}

  Attributes attributes() const override { return attributes_; }
  std::string_view name() const override { return "matmul"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_types_with_biases(name(), inputs);
    const kernels::Matmul args = extents();
    const auto& [a, b, y, transpose_a, transpose_b, activation, bias, residual, rounding] = attributes_;
    const std::int64_t inner = transpose_b ? columns_of(b) : rows_of(b);
    const bool bias_fits = !bias || inputs[2].shape == Shape{args.n};
    const bool residual_fits = !residual || inputs.back().shape == y;
    if (inner != args.k || y.elements() != args.m * args.n || !bias_fits || !residual_fits) {
      throw_expected(name(),
                     std::string("matrices a") + (transpose_a ? "^T" : "") + " and b" +
                         (transpose_b ? "^T" : "") + " with a common inner extent and a bias of b's columns",
                     inputs);
    }
    return {{y, inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::Matmul args = extents();
    args.type = inputs[0].type();
    args.rounding = attributes_.rounding;
    args.a = inputs[0].data();
    args.b = inputs[1].data();
    args.c = outputs[0].data();
    args.epilogue.bias = attributes_.bias ? inputs[2].data() : nullptr;
    args.epilogue.residual = attributes_.residual ? inputs.back().data() : nullptr;
    args.epilogue.activation = attributes_.activation;
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool> wanted) const override {
    return {(wanted[0] ? 2u : 0u) | (wanted[1] ? 1u : 0u),
            attributes_.activation == Activation::none ? 0u : 1u};
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    check_gradient_with_residual(name(), attributes_);
    std::vector<Tensor> gradients(args.inputs.size());
    if (attributes_.residual && args.wanted.back()) gradients.back() = args.output_gradients[0];
    if (in_one_pass(ctx, args, gradients)) return gradients;

    const bool transpose_a = attributes_.transpose_a, transpose_b = attributes_.transpose_b;
    const Tensor& a = args.inputs[0];
    const Tensor& b = args.inputs[1];
    const Tensor dy =
        activation_gradient(ctx, attributes_.activation, args.outputs[0], args.output_gradients[0]);
    if (args.wanted[0]) {
      gradients[0] = transpose_a ? product(ctx, b, dy, transpose_b, true, attributes_.a)
                                 : product(ctx, dy, b, false, !transpose_b, attributes_.a);
    }
    if (args.wanted[1]) {
      gradients[1] = transpose_b ? product(ctx, dy, a, true, transpose_a, attributes_.b)
                                 : product(ctx, a, dy, !transpose_a, false, attributes_.b);
    }
    if (attributes_.bias && args.wanted[2]) gradients[2] = bias_gradient(ctx, dy);
    return gradients;
  }

 private:
  bool in_one_pass(const Context& ctx, const BackwardArgs& args, std::vector<Tensor>& gradients) const {
    const bool rounds_to_float =
        attributes_.rounding.to == Precision::f32 || attributes_.rounding.to == Precision::tf32;
    if (attributes_.transpose_a || attributes_.transpose_b || !rounds_to_float) return false;
    const kernels::Matmul whole = extents();
    kernels::MatmulGradients pass;
    pass.rounding = attributes_.rounding.to;
    pass.m = whole.m;
    pass.n = whole.n;
    pass.k = whole.k;
    pass.activation = attributes_.activation;
    return one_pass_gradients(ctx, pass, args, attributes_.bias, gradients);
  }

  static Tensor product(const Context& ctx, const Tensor& a, const Tensor& b, bool transpose_a,
                        bool transpose_b, const Shape& shape) {
    return folded_matmul(ctx, a, b, transpose_a, transpose_b, {}, Activation::none, shape);
  }

  kernels::Matmul extents() const {
    kernels::Matmul args;
    const auto& [a, b, y, transpose_a, transpose_b, activation, bias, residual, rounding] = attributes_;
    args.m = transpose_a ? columns_of(a) : rows_of(a);
    args.k = transpose_a ? rows_of(a) : columns_of(a);
    args.n = transpose_b ? rows_of(b) : columns_of(b);
    args.transpose_a = transpose_a;
    args.transpose_b = transpose_b;
    return args;
  }

  MatmulAttributes attributes_;
};

}  // namespace

std::shared_ptr<const Op> make_op(const MatmulAttributes& attributes) {
  return std::make_shared<const Matmul>(attributes);
}

Tensor folded_matmul(const Context& ctx, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b,
                     const Tensor& bias, Activation activation, const Shape& shape, const Tensor& residual) {
  const auto op = make_op(MatmulAttributes{a.shape(), b.shape(), shape, transpose_a, transpose_b, activation,
                                           bias.defined(), residual.defined(),
                                           kernels::Rounding{rounding_of(ctx, a), {}}});
  return std::move(apply(ctx, op, with_weights(a, b, bias, residual))[0]);
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
