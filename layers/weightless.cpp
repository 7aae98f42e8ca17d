#include "layers/weightless.h"

#include <utility>

#include "engine/core/error.h"

namespace pila {

InputLayer::InputLayer(std::string name, std::int64_t height, std::int64_t width, DType type)
    : UnaryLayer(std::move(name), "InputLayer"), height_(height), width_(width), type_(type) {}

Tensor InputLayer::forward(const Context&, const Tensor& images) const {
  const Shape& shape = images.shape();
  const bool rounded = type_ == DType::f32 && has_16_bits(images.type());  // see mixed_precision.h
  if (shape.rank() != 4 || shape[1] != height_ || shape[2] != width_ || shape[3] != 3 ||
      (images.type() != type_ && !rounded)) {
    throw ShapeError("[" + name() + "] expected images " + to_string(type_) + "[n, " +
                     std::to_string(height_) + ", " + std::to_string(width_) + ", 3], got " +
                     images.spec().to_string());
  }
  return images;
}

ActivationLayer::ActivationLayer(std::string name, Activation kind)
    : UnaryLayer(std::move(name),
                 kind == Activation::relu || kind == Activation::relu6 ? "ReLU" : "Activation"),
      kind_(kind) {}

Tensor ActivationLayer::forward(const Context& ctx, const Tensor& x) const {
  return ops::activation(ctx, x, kind_);
}

Borders Borders::before_stride_2(std::int64_t height, std::int64_t width, int kernel) {
  const int half = kernel / 2;
  return {half - (height % 2 == 0 ? 1 : 0), half, half - (width % 2 == 0 ? 1 : 0), half};
}

ZeroPadding2D::ZeroPadding2D(std::string name, const Borders& borders)
    : UnaryLayer(std::move(name), "ZeroPadding2D"), borders_(borders) {}

Tensor ZeroPadding2D::forward(const Context& ctx, const Tensor& x) const {
  return ops::zero_pad(ctx, x, borders_.top, borders_.bottom, borders_.left, borders_.right);
}

Add::Add(std::string name) : Layer(std::move(name), "Add") {}

GlobalAveragePooling2D::GlobalAveragePooling2D(std::string name)
    : UnaryLayer(std::move(name), "GlobalAveragePooling2D") {}

Tensor GlobalAveragePooling2D::forward(const Context& ctx, const Tensor& x) const {
  return ops::global_average_pool(ctx, x);
}

Dropout::Dropout(std::string name, double rate, std::uint32_t place)
    : UnaryLayer(std::move(name), "Dropout"), rate_(rate), place_(place) {
  if (!(rate >= 0 && rate < 1)) {
    throw ShapeError("[" + this->name() + "] expected a rate of at least 0 and below 1, got " +
                     std::to_string(rate));
  }
}

Tensor Dropout::forward(const Context& ctx, const Tensor& x) const {
  return ops::dropout(ctx, x, rate_, place_);
}

}  // namespace pila
