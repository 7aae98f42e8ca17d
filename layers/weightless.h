// Layers without weights. They stand in the list of layers as in Keras, where "the first k" counts them too.
#pragma once

#include <string>

#include "engine/ops/ops.h"
#include "layers/layer.h"

namespace pila {

// Checks that images are what the network was made for. Keras: InputLayer.
class InputLayer : public UnaryLayer {
 public:
  InputLayer(std::string name, std::int64_t height, std::int64_t width, DType type);
  // Images [n, height, width, 3] of the type, handed on; throws ShapeError for any others.
  Tensor forward(const Context& ctx, const Tensor& images) const override;

 private:
  std::int64_t height_, width_;
  DType type_;
};

// An activation as a layer of its own. Behind a convolution and batch normalisation it is done with these,
// which are given kind(). Keras: ReLU (with max_value 6 for relu6), Activation.
class ActivationLayer : public UnaryLayer {
 public:
  ActivationLayer(std::string name, Activation kind);
  Activation kind() const { return kind_; }
  Tensor forward(const Context& ctx, const Tensor& x) const override;

 private:
  Activation kind_;
};

// What a window of `kernel` reaches over the edges at stride 2, as Keras' networks pad before it
// (correct_pad): one less above and left where the input's size is even.
struct Borders {
  int top = 0, bottom = 0, left = 0, right = 0;
  static Borders before_stride_2(std::int64_t height, std::int64_t width, int kernel);
};

// Keras: ZeroPadding2D.
class ZeroPadding2D : public UnaryLayer {
 public:
  ZeroPadding2D(std::string name, const Borders& borders);
  Tensor forward(const Context& ctx, const Tensor& x) const override;

 private:
  Borders borders_;
};

// The sum of two tensors of one shape, which the block that has it makes. Keras: Add.
class Add : public Layer {
 public:
  explicit Add(std::string name);
};

// [n, h, w, c] to [n, c]. Keras: GlobalAveragePooling2D.
class GlobalAveragePooling2D : public UnaryLayer {
 public:
  explicit GlobalAveragePooling2D(std::string name);
  Tensor forward(const Context& ctx, const Tensor& x) const override;
};

// Drops elements in training. `place` tells apart the dropouts of a network. Keras: Dropout.
class Dropout : public UnaryLayer {
 public:
  Dropout(std::string name, double rate, std::uint32_t place);  // throws ShapeError outside of 0 <= rate < 1
  Tensor forward(const Context& ctx, const Tensor& x) const override;

 private:
  double rate_;
  std::uint32_t place_;
};

}  // namespace pila
