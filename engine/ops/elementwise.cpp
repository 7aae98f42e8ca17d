#include <algorithm>
#include <array>

#include "engine/ops/support.h"

namespace pila::ops {
namespace {

using kernels::BinaryKind;

Shape broadcast(std::string_view op, std::span<const TensorSpec> inputs) {
  const Shape& a = inputs[0].shape;
  const Shape& b = inputs[1].shape;
  const int rank = std::max(a.rank(), b.rank());
  std::array<std::int64_t, Shape::kMaxRank> extents{};
  for (int axis = 1; axis <= rank; ++axis) {
    const std::int64_t in_a = axis <= a.rank() ? a[-axis] : 1;
    const std::int64_t in_b = axis <= b.rank() ? b[-axis] : 1;
    if (in_a != in_b && in_a != 1 && in_b != 1) {
      throw_expected(op, "shapes that broadcast to one another", inputs);
    }
    extents[rank - axis] = in_a == 1 ? in_b : in_a;
  }
  return Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(rank)));
}

// Steps through a dense tensor of `shape` while walking `rank` axes, 0 where it is repeated.
void set_strides(const Shape& shape, int rank, std::int64_t* strides) {
  std::int64_t step = 1;
  for (int axis = 1; axis <= shape.rank(); ++axis) {
    strides[rank - axis] = shape[-axis] == 1 ? 0 : step;
    step *= shape[-axis];
  }
}

class Binary : public Op {
 public:
  Binary(BinaryKind kind, const Shape& a, const Shape& b) : kind_(kind), a_(a), b_(b) {}

  std::string_view name() const override {
    switch (kind_) {
      case BinaryKind::add:
        return "add";
      case BinaryKind::subtract:
        return "subtract";
      case BinaryKind::multiply:
        return "multiply";
    }
    return "binary";
  }
  Attributes attributes() const override { return BinaryAttributes{kind_, a_, b_}; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs, false);
    return {
        {inputs[0].shape == inputs[1].shape ? inputs[0].shape : broadcast(name(), inputs), inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    const Shape& shape = outputs[0].shape();
    kernels::Binary args;
    args.type = inputs[0].type();
    args.kind = kind_;
    args.rank = shape.rank();
    std::copy(shape.extents().begin(), shape.extents().end(), args.shape);
    set_strides(a_, args.rank, args.a_strides);
    set_strides(b_, args.rank, args.b_strides);
    args.a = inputs[0].data();
    args.b = inputs[1].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool> wanted) const override {
    if (kind_ != BinaryKind::multiply) return {};
    return {(wanted[0] ? 2u : 0u) | (wanted[1] ? 1u : 0u), 0};
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    const Tensor& dy = args.output_gradients[0];
    const bool product = kind_ == BinaryKind::multiply;
    std::vector<Tensor> gradients(2);
    if (args.wanted[0]) {
      gradients[0] = reduce_to(ctx, product ? multiply(ctx, dy, args.inputs[1]) : dy, a_);
    }
    if (args.wanted[1]) {
      gradients[1] = reduce_to(ctx, product ? multiply(ctx, dy, args.inputs[0]) : dy, b_);
      if (kind_ == BinaryKind::subtract) gradients[1] = affine(ctx, gradients[1], -1);
    }
    return gradients;
  }

 private:
  BinaryKind kind_;
  Shape a_, b_;
};

Tensor binary(const Context& ctx, BinaryKind kind, const Tensor& a, const Tensor& b) {
  return apply_to_one<Binary>(ctx, {a, b}, kind, a.shape(), b.shape());
}

class Affine : public Op {
 public:
  Affine(double factor, double offset) : factor_(factor), offset_(offset) {}
  std::string_view name() const override { return "affine"; }
  Attributes attributes() const override { return AffineAttributes{factor_, offset_}; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    return {inputs[0]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::Affine args;
    args.type = inputs[0].type();
    args.count = inputs[0].shape().elements();
    args.factor = factor_;
    args.offset = offset_;
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    return {affine(ctx, args.output_gradients[0], factor_)};
  }

 private:
  double factor_, offset_;
};

class Cast : public Op {
 public:
  explicit Cast(const CastAttributes& attributes) : attributes_(attributes) {}
  std::string_view name() const override { return "cast"; }
  Attributes attributes() const override { return attributes_; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    return {{inputs[0].shape, attributes_.to}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::Cast args;
    args.from = attributes_.from;
    args.to = attributes_.to;
    args.count = inputs[0].shape().elements();
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    return {cast(ctx, args.output_gradients[0], attributes_.from)};
  }

 private:
  CastAttributes attributes_;
};

// Its own gradient, under the same key.
class Dropout : public Op {
 public:
  Dropout(double rate, std::uint64_t seed, std::uint32_t place, bool per_sample, std::int64_t first_sample)
      : rate_(rate), seed_(seed), place_(place), per_sample_(per_sample), first_sample_(first_sample) {}
  std::string_view name() const override { return "dropout"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs.first(1));
    if (per_sample_ && inputs[0].shape.rank() == 0) throw_expected(name(), "samples to drop", inputs);
    return {inputs[0]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::Dropout args;
    args.type = inputs[0].type();
    args.count = inputs[0].shape().elements();
    const Shape& shape = inputs[0].shape();
    const std::int64_t sample = shape.rank() > 0 ? args.count / shape[0] : 1;
    args.group = per_sample_ ? sample : 1;
    args.first = first_sample_ * (per_sample_ ? 1 : sample);
    args.rate = rate_;
    args.seed = seed_;
    args.place = place_;
    args.step = inputs[1].data_as<std::int64_t>();
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool>) const override { return {2, 0}; }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    return {apply_to_one<Dropout>(ctx, {args.output_gradients[0], args.inputs[1]}, rate_, seed_, place_,
                                  per_sample_, first_sample_),
            {}};
  }

 private:
  double rate_;
  std::uint64_t seed_;
  std::uint32_t place_;
  bool per_sample_;
  std::int64_t first_sample_;  // of the whole batch, where ranks share it
};

}  // namespace

std::shared_ptr<const Op> make_op(const CastAttributes& attributes) {
  return std::make_shared<const Cast>(attributes);
}

Tensor add(const Context& ctx, const Tensor& a, const Tensor& b) {
  return binary(ctx, BinaryKind::add, a, b);
}

Tensor subtract(const Context& ctx, const Tensor& a, const Tensor& b) {
  return binary(ctx, BinaryKind::subtract, a, b);
}

Tensor multiply(const Context& ctx, const Tensor& a, const Tensor& b) {
  return binary(ctx, BinaryKind::multiply, a, b);
}

Tensor reduce_to(const Context& ctx, const Tensor& gradient, const Shape& shape) {
  if (gradient.shape().elements() == shape.elements()) return reshape(ctx, gradient, shape);
  const int missing = gradient.shape().rank() - shape.rank();
  const auto repeated = [&](int axis) {
    return axis < missing || (shape[axis - missing] == 1 && gradient.shape()[axis] != 1);
  };
  Tensor sum = gradient;
  for (int last = gradient.shape().rank() - 1; last >= 0; --last) {
    if (!repeated(last)) continue;
    int first = last;
    while (first > 0 && repeated(first - 1)) --first;
    sum = reduce_sum(ctx, sum, first, last);
    last = first;
  }
  return reshape(ctx, sum, shape);
}

Tensor affine(const Context& ctx, const Tensor& x, double factor, double offset) {
  return apply_to_one<Affine>(ctx, {x}, factor, offset);
}

Tensor cast(const Context& ctx, const Tensor& x, DType type) {
  return x.type() == type ? x : apply_to_one<Cast>(ctx, {x}, CastAttributes{x.type(), type});
}

Tensor dropout(const Context& ctx, const Tensor& x, double rate, std::uint32_t place, bool per_sample) {
  if (!(rate >= 0 && rate < 1)) throw_expected("dropout", "a rate in [0, 1)", std::to_string(rate));
  if (!ctx.training() || rate == 0) return x;
  return apply_to_one<Dropout>(ctx, {x, ctx.step()}, rate, ctx.seed(), place, per_sample, ctx.share().first);
}

}  // namespace pila::ops
