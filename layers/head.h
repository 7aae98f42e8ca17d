// The layers behind a backbone.
#pragma once

#include <memory>
#include <vector>

#include "layers/dense.h"
#include "layers/model.h"

namespace pila {

class Head {
 public:
  // channels: of the features that come in. Throws ShapeError for layers that don't fit together.
  Head(Initializer& init, const std::vector<HeadLayerSpec>& layers, std::int64_t channels);

  std::vector<Layer*> layers() const;
  std::int64_t classes() const { return classes_; }  // 0 without a Dense layer

  // Features [n, h, w, c] to logits [n, classes]: without the last layer's softmax.
  Tensor logits(const Context& ctx, const Tensor& features) const;

 private:
  std::vector<std::unique_ptr<UnaryLayer>> before_;  // all but the last Dense layer
  std::unique_ptr<Dense> last_;
  std::int64_t classes_ = 0;
};

}  // namespace pila
