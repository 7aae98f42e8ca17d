// A layer: a Keras name, named parameters, and a switch that says whether it learns.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/tensor.h"

namespace pila {

// One weight of a layer.
struct Parameter {
  std::string name;  // Keras' own: "kernel", "depthwise_kernel", "bias", "gamma", "beta", "moving_mean", ...
  Tensor value;
  bool learns = true;  // false for moving statistics, whatever the layer's switch says
};

class Layer {
 public:
  // `type` is Keras' class name: "Conv2D", "BatchNormalization", "InputLayer".
  Layer(std::string name, std::string type) : name_(std::move(name)), type_(std::move(type)) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  const std::string& name() const { return name_; }
  const std::string& type() const { return type_; }

  // A frozen layer's parameters get no gradient; frozen batch normalisation runs on its moving statistics,
  // in training too. As in Keras, everything is trainable at first.
  bool trainable() const { return trainable_; }
  virtual void set_trainable(bool trainable) { trainable_ = trainable; }

  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }

 protected:
  std::vector<Parameter> parameters_;

 private:
  std::string name_, type_;
  bool trainable_ = true;
};

// A layer that needs nothing but one input.
class UnaryLayer : public Layer {
 public:
  using Layer::Layer;
  virtual Tensor forward(const Context& ctx, const Tensor& x) const = 0;
};

}  // namespace pila
