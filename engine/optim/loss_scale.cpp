#include "engine/optim/loss_scale.h"

#include "engine/ops/ops.h"

namespace pila {

LossScale::LossScale(const Context& ctx, const LossScaleOptions& options)
    : options_(options),
      scale_(options.initial),
      value_(Tensor::full(ctx, {{}, DType::f32}, options.initial)) {}

Tensor LossScale::scaled(const Context& ctx, const Tensor& loss) const {
  return ops::multiply(ctx, loss, value_);
}

bool LossScale::update(const Context& ctx, bool finite) {
  if (!finite) {
    if (scale_ <= options_.smallest) return false;
    restore(ctx, scale_ / 2, 0);
  } else if (++good_steps_ >= options_.patience && scale_ < options_.largest) {
    restore(ctx, scale_ * 2, 0);
  }
  return true;
}

void LossScale::restore(const Context& ctx, double scale, std::int64_t good_steps) {
  scale_ = scale;
  good_steps_ = good_steps;
  const auto rounded = static_cast<float>(scale);
  value_.assign<float>(ctx, {&rounded, 1});
}

}  // namespace pila
