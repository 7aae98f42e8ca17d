#include "engine/ops/augment.h"

#include <algorithm>
#include <cmath>

#include "engine/ops/support.h"

namespace pila::ops {
namespace {

// Inputs: the images, then what is done to each as uint8 [n, sizeof(AugmentPicture)].
class Augment : public Op {
 public:
  Augment(const AugmentOptions& options, DType type) : options_(options), type_(type) {}
  std::string_view name() const override { return "augment"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    return {{Shape{inputs[0].shape[0], options_.height, options_.width, 3}, type_}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    const Shape& images = inputs[0].shape();
    kernels::Augment args;
    args.type = type_;
    args.fill = options_.fill;
    args.batch = images[0];
    args.in_h = images[1];
    args.in_w = images[2];
    args.out_h = options_.height;
    args.out_w = options_.width;
    args.dropout = options_.dropout;
    std::copy_n(options_.scale, 3, args.scale);
    std::copy_n(options_.offset, 3, args.offset);
    args.x = inputs[0].data_as<std::uint8_t>();
    args.pictures = static_cast<const AugmentPicture*>(inputs[1].data());
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of pixels");
  }

 private:
  AugmentOptions options_;
  DType type_;
};

class MixWithReversed : public Op {
 public:
  explicit MixWithReversed(double weight) : weight_(weight) {}
  std::string_view name() const override { return "mix_with_reversed"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    check_same_type(name(), inputs);
    if (inputs[0].shape.rank() == 0) throw_expected(name(), "a batch", inputs);
    return {inputs[0]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::MixReversed args;
    args.type = inputs[0].type();
    args.rows = inputs[0].shape()[0];
    args.count = inputs[0].shape().elements() / args.rows;
    args.weight = weight_;
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  // The matrix that mixes the rows is symmetric.
  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    return {mix_with_reversed(ctx, args.output_gradients[0], weight_)};
  }

 private:
  double weight_;
};

}  // namespace

Tensor augment(const Context& ctx, const Tensor& images, std::span<const AugmentPicture> pictures,
               const AugmentOptions& options, DType type) {
  constexpr std::string_view kName = "augment";
  const Shape& shape = images.shape();
  const bool fits =
      images.type() == DType::u8 && shape.rank() == 4 && shape[1] > 0 && shape[2] > 0 && shape[3] == 3;
  if (!fits) throw_expected(kName, "images uint8[n, h, w, 3]", images.spec().to_string());
  if (static_cast<std::int64_t>(pictures.size()) != shape[0]) {
    throw_expected(kName, "parameters for " + std::to_string(shape[0]) + " pictures",
                   std::to_string(pictures.size()));
  }
  if (options.height < 1 || options.width < 1) {
    throw_expected(kName, "a size of at least 1 x 1",
                   std::to_string(options.height) + " x " + std::to_string(options.width));
  }
  if (!(options.dropout >= 0 && options.dropout < 1)) {
    throw_expected(kName, "a dropout in [0, 1)", std::to_string(options.dropout));
  }
  for (const AugmentPicture& picture : pictures) {
    for (const float number : picture.warp) {
      if (!std::isfinite(number)) throw_expected(kName, "a finite warp", std::to_string(number));
    }
  }
  const std::span<const std::byte> bytes = std::as_bytes(pictures);
  const Tensor parameters =
      Tensor::from(ctx, {shape[0], static_cast<std::int64_t>(sizeof(AugmentPicture))},
                   std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  return apply_to_one<Augment>(ctx, {images, parameters}, options, type);
}

Tensor mix_with_reversed(const Context& ctx, const Tensor& x, double weight) {
  if (!(weight >= 0 && weight <= 1)) {
    throw_expected("mix_with_reversed", "a weight in [0, 1]", std::to_string(weight));
  }
  return apply_to_one<MixWithReversed>(ctx, {x}, weight);
}

}  // namespace pila::ops
