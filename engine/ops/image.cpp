// From pixels to a network's input; nothing here has a gradient.
#include <algorithm>
#include <array>

#include "engine/ops/support.h"
#include "kernels/args/image.h"

namespace pila::ops {
namespace {

class ImageToFloat : public Op {
 public:
  ImageToFloat(std::span<const float> scale, std::span<const float> offset, DType type) {
    args_.type = type;
    args_.channels = static_cast<int>(scale.size());
    std::copy(scale.begin(), scale.end(), args_.scale);
    std::copy(offset.begin(), offset.end(), args_.offset);
  }
  std::string_view name() const override { return "image_to_float"; }
  Attributes attributes() const override {
    return ImageToFloatAttributes{args_.channels, std::to_array(args_.scale), std::to_array(args_.offset),
                                  args_.type};
  }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    return {{inputs[0].shape, args_.type}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    kernels::ImageToFloat args = args_;
    args.pixels = inputs[0].shape().elements() / args.channels;
    args.x = inputs[0].data_as<std::uint8_t>();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of pixels");
  }

 private:
  kernels::ImageToFloat args_;
};

class ResizeBilinear : public Op {
 public:
  ResizeBilinear(std::int64_t height, std::int64_t width, DType type)
      : height_(height), width_(width), type_(type) {}
  std::string_view name() const override { return "resize_bilinear"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    const Shape& image = inputs[0].shape;
    if (image.rank() != 4 || height_ < 1 || width_ < 1) {
      throw_expected(name(), "an NHWC image to stretch to " + Shape{height_, width_}.to_string(), inputs);
    }
    return {{Shape{image[0], height_, width_, image[3]}, type_}};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    const Shape& image = inputs[0].shape();
    kernels::ResizeBilinear args;
    args.from = inputs[0].type();
    args.to = type_;
    args.batch = image[0];
    args.in_h = image[1];
    args.in_w = image[2];
    args.out_h = height_;
    args.out_w = width_;
    args.channels = static_cast<int>(image[3]);
    args.x = inputs[0].data();
    args.y = outputs[0].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of a resized image");
  }

 private:
  std::int64_t height_, width_;
  DType type_;
};

}  // namespace

Tensor image_to_float(const Context& ctx, const Tensor& image, std::span<const float> scale,
                      std::span<const float> offset, DType type) {
  constexpr std::string_view kName = "image_to_float";
  const std::int64_t channels = image.shape().rank() > 0 ? image.shape()[-1] : 0;
  if (image.type() != DType::u8 || channels < 1 || channels > kernels::kMaxImageChannels) {
    throw_expected(kName, "a uint8 image of 1 to " + std::to_string(kernels::kMaxImageChannels) + " channels",
                   image.spec().to_string());
  }
  const auto count = static_cast<std::size_t>(channels);
  const auto each = [&](std::span<const float> values) {
    if (values.size() != 1 && values.size() != count) {
      throw_expected(kName, "1 or " + std::to_string(count) + " scales and offsets",
                     std::to_string(values.size()));
    }
    return values.size() == 1 ? std::vector<float>(count, values[0])
                              : std::vector<float>(values.begin(), values.end());
  };
  return apply_to_one<ImageToFloat>(ctx, {image}, each(scale), each(offset), type);
}

Tensor resize_bilinear(const Context& ctx, const Tensor& image, std::int64_t height, std::int64_t width,
                       DType type) {
  return apply_to_one<ResizeBilinear>(ctx, {image}, height, width, type);
}

}  // namespace pila::ops
