// Keeps gradients of float16 from becoming zero: the loss is multiplied on the way to them (Micikevicius et
// al., "Mixed precision training", ICLR 2018).
#pragma once

#include <cstdint>

#include "engine/core/context.h"

namespace pila {

struct LossScaleOptions {
  double initial = 65536, smallest = 1, largest = 16777216;  // powers of two
  std::int64_t patience = 500;  // steps in a row whose gradients were finite, before it is doubled
};

// As large as the gradients bear it. A tensor, so that a step can be captured.
class LossScale {
 public:
  explicit LossScale(const Context& ctx, const LossScaleOptions& options = {});

  // The loss to walk back from; float32 [].
  Tensor scaled(const Context& ctx, const Tensor& loss) const;
  const Tensor& value() const { return value_; }  // float32 []

  // After a step. Halves it where gradients were not finite, and says whether it could.
  bool update(const Context& ctx, bool finite);

  // What a checkpoint keeps.
  double scale() const { return scale_; }
  std::int64_t good_steps() const { return good_steps_; }
  void restore(const Context& ctx, double scale, std::int64_t good_steps);

 private:
  LossScaleOptions options_;
  double scale_;
  std::int64_t good_steps_ = 0;  // in a row, since it was changed
  Tensor value_;
};

}  // namespace pila
