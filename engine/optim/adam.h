// Adam with decoupled weight decay, as Keras computes it.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/core/context.h"

namespace pila {

class ExponentialAverage;

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  double weight_decay = 0;  // of all parameters, unless a parameter says otherwise
  // Gradients are scaled down together to this Euclidean norm. Keras: global_clipnorm.
  double clip_norm = std::numeric_limits<double>::infinity();
};

struct AdamParameter {
  Tensor value;
  double weight_decay = -1;  // negative: the options' value
  double rate_factor = 1;    // multiplies the learning rate (layer-wise decay)
};

// Holds the moments. The step count and the rate are tensors, so that a step can be traced.
class Adam {
 public:
  // Throws ShapeError unless all parameters are float32 or all float64, UsageError for one that comes twice
  // or a clip_norm that is not above 0. Where there are averages, those of the parameters are moved here from
  // now on, each with its parameter and in the same pass, by the momentum of the average's last advance().
  Adam(const Context& ctx, std::vector<AdamParameter> parameters, AdamOptions options = {},
       ExponentialAverage* average = nullptr);

  // One update in place: advance(), then update(). Parameters without a gradient stay as they are, with their
  // averages, and all parameters, moments and averages do when a gradient is not finite: see gradient_norm().
  void step(const Context& ctx, const Gradients& gradients, double rate);

  // The two halves of a step. A traced step records update() once; every run of it is preceded by advance().
  // loss_scale: [] of the parameters' type, what the loss was multiplied by on the way to the gradients.
  void advance(const Context& ctx, double rate);  // counts the step and takes the rate
  void update(const Context& ctx, const Gradients& gradients, const Tensor& loss_scale = {}) const;

  // [] of the parameters' type: the norm of the last update's gradients before clipping. NaN or infinite when
  // one of them is, and then nothing was updated.
  const Tensor& gradient_norm() const { return norm_; }

  std::int64_t steps() const { return steps_; }
  // What a checkpoint keeps, in the parameters' order.
  const std::vector<Tensor>& first_moments() const { return first_moments_; }
  const std::vector<Tensor>& second_moments() const { return second_moments_; }
  void restore_steps(const Context& ctx, std::int64_t steps);

 private:
  std::vector<AdamParameter> parameters_;
  AdamOptions options_;
  std::vector<Tensor> first_moments_, second_moments_;
  std::vector<Tensor> averages_;  // of each parameter; undefined where there is none
  Tensor step_, rate_, norm_, scale_, momentum_;
  std::int64_t steps_ = 0;
};

}  // namespace pila
