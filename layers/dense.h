// The fully connected layer.
#pragma once

#include <string>

#include "layers/initializer.h"
#include "layers/layer.h"

namespace pila {

// kernel [in, units], bias [units] where there is one. Keras: Dense.
class Dense : public UnaryLayer {
 public:
  // activation: "linear", "relu" or "softmax"; anything else throws ShapeError.
  Dense(Initializer& init, std::string name, std::int64_t in, std::int64_t units, bool bias,
        const std::string& activation);

  // x [n, in] to [n, units].
  Tensor forward(const Context& ctx, const Tensor& x) const override;
  // The same without a softmax at its end, which losses want left out.
  Tensor logits(const Context& ctx, const Tensor& x) const;

 private:
  enum class Last { linear, relu, softmax };
  bool bias_;
  Last activation_;
};

}  // namespace pila
