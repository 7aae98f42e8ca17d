// A layer: a Keras name, named parameters, and a switch that says whether it learns.
#pragma once

#include <cstdint>
#include <string>
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

  const std::string& name() const { return name_; }
  const std::string& type() const { return type_; }

  // A frozen layer's parameters get no gradient; frozen batch normalisation runs on its moving statistics,
  // in training too. As in Keras, everything is trainable at first.
  bool trainable() const { return trainable_; }
  void set_trainable(bool trainable) { trainable_ = trainable; }

  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }

 protected:
  std::vector<Parameter> parameters_;

 private:
  std::string name_, type_;
  bool trainable_ = true;
};

}  // namespace pila
