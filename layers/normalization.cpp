#include "layers/normalization.h"

#include <utility>

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
  if (has_given_statistics(ctx)) {
    return ops::batch_norm_inference(ctx, x, gamma, beta, moving_mean, moving_variance, epsilon_, activation);
  }
  const ops::BatchNormResult result = ops::batch_norm_training(ctx, x, gamma, beta, epsilon_, activation);
  move_statistics(ctx, result.mean, result.variance);
  return result.y;
}

void BatchNormalization::move_statistics(const Context& ctx, const Tensor& mean,
                                         const Tensor& variance) const {
  if (ctx.repeats()) return;
  const double momentum = measuring_ ? 0 : momentum_;
  ops::moving_average(ctx, parameters_[2].value, mean, momentum);
  ops::moving_average(ctx, parameters_[3].value, variance, momentum);
}

bool BatchNormalization::may_leave_to_reader(const Context& ctx) const {
  return !ctx.tracing() && !has_given_statistics(ctx) && ctx.share().total == 0;
}

ops::Unnormalised BatchNormalization::leave_to_reader(const Context& ctx, const Tensor& x,
                                                      Activation activation) const {
  ops::Unnormalised result =
      ops::batch_norm_by_reader(ctx, x, parameters_[0].value, parameters_[1].value, epsilon_, activation);
  move_statistics(ctx, result.mean, result.variance);
  return result;
}

bool BatchNormalization::has_given_statistics(const Context& ctx) const {
  return !measuring_ && !(ctx.training() && batch_statistics_);
}

ops::FoldedWeights BatchNormalization::folded(const Context& ctx, const Tensor& kernel) const {
  return ops::fold_batch_norm(ctx, kernel, parameters_[0].value, parameters_[1].value, parameters_[2].value,
                              parameters_[3].value, epsilon_);
}

void BatchNormalization::set_trainable(bool trainable) {
  Layer::set_trainable(trainable);
  batch_statistics_ = trainable;
}

}  // namespace pila
