// Sums, means and their transposes, and tensors in another shape.
#include "engine/ops/support.h"

namespace pila::ops {
namespace {

using kernels::ReduceKind;

// A dense tensor as [outer, middle, inner].
struct Split {
  std::int64_t outer = 1, middle = 1, inner = 1;
};

Tensor repeat(const Context& ctx, const Tensor& x, const Split& split, double scale, const Shape& shape);

class Reduce : public Op {
 public:
  Reduce(ReduceKind kind, const Split& split, const Shape& from, const Shape& to)
      : kind_(kind), split_(split), from_(from), to_(to) {}
  std::string_view name() const override { return kind_ == ReduceKind::sum ? "reduce_sum" : "reduce_mean"; }
  Attributes attributes() const override {
    return ReduceAttributes{kind_, split_.outer, split_.middle, split_.inner, from_, to_};
  }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    return {{to_, inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::Reduce args;
    args.type = inputs[0].type();
    args.kind = kind_;
    args.outer = split_.outer;
    args.reduced = split_.middle;
    args.inner = split_.inner;
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    const double scale = kind_ == ReduceKind::sum ? 1 : 1 / static_cast<double>(split_.middle);
    return {repeat(ctx, args.output_gradients[0], split_, scale, from_)};
  }

 private:
  ReduceKind kind_;
  Split split_;
  Shape from_, to_;
};

class Repeat : public Op {
 public:
  Repeat(const Split& split, double scale, const Shape& from, const Shape& to)
      : split_(split), scale_(scale), from_(from), to_(to) {}
  std::string_view name() const override { return "repeat"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    return {{to_, inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::Repeat args;
    args.type = inputs[0].type();
    args.outer = split_.outer;
    args.repeated = split_.middle;
    args.inner = split_.inner;
    args.scale = scale_;
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    const Tensor sums =
        apply_to_one<Reduce>(ctx, {args.output_gradients[0]}, ReduceKind::sum, split_, to_, from_);
    return {scale_ == 1 ? sums : affine(ctx, sums, scale_)};
  }

 private:
  Split split_;
  double scale_;
  Shape from_, to_;
};

Tensor repeat(const Context& ctx, const Tensor& x, const Split& split, double scale, const Shape& shape) {
  return apply_to_one<Repeat>(ctx, {x}, split, scale, x.shape(), shape);
}

Tensor reduce(const Context& ctx, const Tensor& x, ReduceKind kind, int first, int last) {
  const Shape& shape = x.shape();
  const int from = first < 0 ? first + shape.rank() : first;
  const int to = last < 0 ? last + shape.rank() : last;
  if (from < 0 || to >= shape.rank() || from > to) {
    throw_expected(
        kind == ReduceKind::sum ? "reduce_sum" : "reduce_mean",
        "axes " + std::to_string(first) + " to " + std::to_string(last) + " to be some of the input's",
        x.spec().to_string());
  }
  Split split;
  std::vector<std::int64_t> kept;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    (axis < from ? split.outer : axis > to ? split.inner : split.middle) *= shape[axis];
    if (axis < from || axis > to) kept.push_back(shape[axis]);
  }
  return apply_to_one<Reduce>(ctx, {x}, kind, split, shape, Shape(std::span<const std::int64_t>(kept)));
}

Tensor reduce_all(const Context& ctx, const Tensor& x, ReduceKind kind) {
  return apply_to_one<Reduce>(ctx, {x}, kind, Split{1, x.shape().elements(), 1}, x.shape(), Shape{});
}

class Reshape : public Op {
 public:
  Reshape(const Shape& from, const Shape& to) : from_(from), to_(to) {}
  std::string_view name() const override { return "reshape"; }
  Attributes attributes() const override { return ReshapeAttributes{to_}; }
  bool is_view() const override { return true; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    if (to_.elements() != from_.elements()) {
      throw_expected(name(), std::to_string(to_.elements()) + " elements for " + to_.to_string(), inputs);
    }
    return {{to_, inputs[0].type}};
  }

  void run(const Context&, std::span<const Tensor>, std::span<const Tensor>) const override {}

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    return {reshape(ctx, args.output_gradients[0], from_)};
  }

 private:
  Shape from_, to_;
};

}  // namespace

Tensor reduce_sum(const Context& ctx, const Tensor& x, int first, int last) {
  return reduce(ctx, x, ReduceKind::sum, first, last);
}

Tensor reduce_mean(const Context& ctx, const Tensor& x, int first, int last) {
  return reduce(ctx, x, ReduceKind::mean, first, last);
}

Tensor sum(const Context& ctx, const Tensor& x) { return reduce_all(ctx, x, ReduceKind::sum); }

Tensor mean(const Context& ctx, const Tensor& x) { return reduce_all(ctx, x, ReduceKind::mean); }

Tensor global_average_pool(const Context& ctx, const Tensor& x) {
  if (x.shape().rank() != 4) throw_expected("global_average_pool", "an NHWC image", x.spec().to_string());
  return reduce_mean(ctx, x, 1, 2);
}

Tensor reshape(const Context& ctx, const Tensor& x, const Shape& shape) {
  return x.shape() == shape ? x : apply_to_one<Reshape>(ctx, {x}, x.shape(), shape);
}

}  // namespace pila::ops
