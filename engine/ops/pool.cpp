// Zero borders and max pooling.
#include "kernels/args/pool.h"
#include "engine/ops/support.h"

namespace pila::ops {
namespace {

using kernels::Borders;
using kernels::ConvShape;

// Adds borders or takes them away.
template <class Args>
class ChangeBorders : public Op {
 public:
  static constexpr bool kPads = std::is_same_v<Args, kernels::Pad>;
  static constexpr const char* kName = kPads ? "zero_pad" : "crop";
  using Inverse = ChangeBorders<std::conditional_t<kPads, kernels::Crop, kernels::Pad>>;

  explicit ChangeBorders(const Borders& borders) : borders_(borders) {}
  std::string_view name() const override { return kName; }
  Attributes attributes() const override {
    if constexpr (kPads) return ZeroPadAttributes{borders_};
    return {};
  }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    const Borders& b = borders_;
    const std::int64_t h = kPads ? b.top + b.in_h + b.bottom : b.in_h;
    const std::int64_t w = kPads ? b.left + b.in_w + b.right : b.in_w;
    return {{Shape{b.batch, h, w, b.channels}, inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    Args args;
    args.type = inputs[0].type();
    args.borders = borders_;
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    return {apply_to_one<Inverse>(ctx, {args.output_gradients[0]}, borders_)};
  }

 private:
  Borders borders_;
};

using ZeroPad = ChangeBorders<kernels::Pad>;
using Crop = ChangeBorders<kernels::Crop>;

void check_borders(std::string_view op, const Tensor& x, int top, int bottom, int left, int right) {
  if (x.shape().rank() != 4) throw_expected(op, "an NHWC image", x.spec().to_string());
  if (top < 0 || bottom < 0 || left < 0 || right < 0) {
    throw_expected(op, "borders of at least 0 for " + x.spec().to_string(),
                   std::to_string(top) + ", " + std::to_string(bottom) + ", " + std::to_string(left) + ", " +
                       std::to_string(right));
  }
}

class MaxPoolBackward : public Op {
 public:
  explicit MaxPoolBackward(const ConvShape& shape) : shape_(shape) {}
  std::string_view name() const override { return "max_pool_backward"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override { return {inputs[0]}; }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::MaxPoolBackward args;
    args.type = inputs[0].type();
    args.shape = shape_;
    args.x = inputs[0].data();
    args.dy = inputs[1].data();
    args.dx = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of max pooling's gradient (its second derivative)");
  }

 private:
  ConvShape shape_;
};

class MaxPool : public Op {
 public:
  explicit MaxPool(const ConvShape& shape) : shape_(shape) {}
  std::string_view name() const override { return "max_pool"; }
  Attributes attributes() const override { return MaxPoolAttributes{shape_}; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    return {{Shape{shape_.batch, shape_.out_h, shape_.out_w, shape_.out_c}, inputs[0].type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::MaxPoolForward args;
    args.type = inputs[0].type();
    args.shape = shape_;
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  Saved saved(std::span<const bool>) const override { return {1, 0}; }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    return {apply_to_one<MaxPoolBackward>(ctx, {args.inputs[0], args.output_gradients[0]}, shape_)};
  }

 private:
  ConvShape shape_;
};

}  // namespace

Tensor zero_pad(const Context& ctx, const Tensor& x, int top, int bottom, int left, int right) {
  check_borders(ZeroPad::kName, x, top, bottom, left, right);
  const Shape& s = x.shape();
  return apply_to_one<ZeroPad>(ctx, {x}, Borders{s[0], s[1], s[2], s[3], top, bottom, left, right});
}

Tensor crop(const Context& ctx, const Tensor& x, int top, int bottom, int left, int right) {
  check_borders(Crop::kName, x, top, bottom, left, right);
  const Shape& s = x.shape();
  const std::int64_t h = s[1] - top - bottom, w = s[2] - left - right;
  if (h < 0 || w < 0) {
    throw_expected(Crop::kName, "an image of at least " + Shape{top + bottom, left + right}.to_string(),
                   x.spec().to_string());
  }
  return apply_to_one<Crop>(ctx, {x}, Borders{s[0], h, w, s[3], top, bottom, left, right});
}

Tensor max_pool(const Context& ctx, const Tensor& x, const PoolOptions& options) {
  constexpr std::string_view kName = "max_pool";
  if (x.shape().rank() != 4) throw_expected(kName, "an NHWC image", x.spec().to_string());
  if (options.window < 1 || options.stride < 1) {
    throw_expected(kName, "window and stride of at least 1",
                   std::to_string(options.window) + " and " + std::to_string(options.stride));
  }
  const WindowAxis h = place_window(x.shape()[1], options.window, options.stride, 1, options.padding);
  const WindowAxis w = place_window(x.shape()[2], options.window, options.stride, 1, options.padding);
  if (h.places < 1 || w.places < 1) {
    throw_expected(kName, "an image no smaller than a window of " + std::to_string(options.window),
                   x.spec().to_string());
  }
  ConvShape shape;
  shape.batch = x.shape()[0];
  shape.in_h = x.shape()[1];
  shape.in_w = x.shape()[2];
  shape.in_c = shape.out_c = x.shape()[3];
  shape.out_h = h.places;
  shape.out_w = w.places;
  shape.window = {options.window, options.window, options.stride, options.stride, 1, 1, h.pad, w.pad};
  return apply_to_one<MaxPool>(ctx, {x}, shape);
}

}  // namespace pila::ops
