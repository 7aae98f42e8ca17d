#include "layers/dense.h"

#include <utility>

#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace pila {

Dense::Dense(Initializer& init, std::string name, std::int64_t in, std::int64_t units, bool bias,
             const std::string& activation)
    : UnaryLayer(std::move(name), "Dense"), bias_(bias) {
  if (units < 1) {
    throw ShapeError("[" + this->name() + "] expected at least 1 unit, got " + std::to_string(units));
  }
  if (activation == "linear") {
    activation_ = Last::linear;
  } else if (activation == "relu") {
    activation_ = Last::relu;
  } else if (activation == "softmax") {
    activation_ = Last::softmax;
  } else {
    throw ShapeError("[" + this->name() + "] expected activation linear, relu or softmax, got '" +
                     activation + "'");
  }
  parameters_.push_back({"kernel", init.glorot_uniform({in, units})});
  if (bias) parameters_.push_back({"bias", init.zeros({units})});
}

Tensor Dense::forward(const Context& ctx, const Tensor& x) const {
  const Tensor y = logits(ctx, x);
  return activation_ == Last::softmax ? ops::softmax(ctx, y) : y;
}

Tensor Dense::logits(const Context& ctx, const Tensor& x) const {
  const Tensor y = ops::dense(ctx, x, parameters_[0].value, bias_ ? parameters_[1].value : Tensor());
  return activation_ == Last::relu ? ops::activation(ctx, y, Activation::relu) : y;
}

}  // namespace pila
