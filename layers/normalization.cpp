#include "layers/normalization.h"

#include <utility>

#include "engine/ops/ops.h"

namespace pila {

BatchNormalization::BatchNormalization(Initializer& init, std::string name, std::int64_t channels,
                                       double epsilon, double momentum)
    : Layer(std::move(name), "BatchNormalization"), epsilon_(epsilon), momentum_(momentum) {
  parameters_.push_back({"gamma", init.ones({channels})});
  parameters_.push_back({"beta", init.zeros({channels})});
  parameters_.push_back({"moving_mean", init.zeros({channels}), /*learns=*/false});
  parameters_.push_back({"moving_variance", init.ones({channels}), /*learns=*/false});
}

Tensor BatchNormalization::forward(const Context& ctx, const Tensor& x, Activation activation) const {
  const Tensor &gamma = parameters_[0].value, &beta = parameters_[1].value;
  const Tensor &moving_mean = parameters_[2].value, &moving_variance = parameters_[3].value;
  if (!measuring_ && !(ctx.training() && batch_statistics_)) {
    return ops::batch_norm_inference(ctx, x, gamma, beta, moving_mean, moving_variance, epsilon_, activation);
  }
  const ops::BatchNormResult result = ops::batch_norm_training(ctx, x, gamma, beta, epsilon_, activation);
  if (ctx.repeats()) return result.y;
  const double momentum = measuring_ ? 0 : momentum_;
  ops::moving_average(ctx, moving_mean, result.mean, momentum);
  ops::moving_average(ctx, moving_variance, result.variance, momentum);
  return result.y;
}

void BatchNormalization::set_trainable(bool trainable) {
  Layer::set_trainable(trainable);
  batch_statistics_ = trainable;
}

}  // namespace pila
