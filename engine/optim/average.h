// Averages of weights over the steps of a training run, which are often better than the last weights.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/context.h"

namespace pila {

struct AverageOptions {
  double momentum = 0.999;  // in [0, 1)
  // Whether update t (from 0) takes at most (1 + t) / (10 + t) of the old average, which forgets the first
  // weights soon. Without, as Keras' use_ema.
  bool warm_up = false;
};

// average = momentum * average + (1 - momentum) * value for each tensor; the first update takes the values.
class ExponentialAverage {
 public:
  // Begins with the values themselves. Throws ShapeError unless all are float32 or all float64, UsageError
  // for a tensor that comes twice or a momentum out of range.
  ExponentialAverage(const Context& ctx, std::vector<Tensor> values, AverageOptions options = {});

  // After a step of the optimizer: advance(), then accumulate().
  void update(const Context& ctx);
  // The two halves of an update. A traced step records accumulate() once; every run of it is preceded by
  // advance().
  void advance(const Context& ctx);
  void accumulate(const Context& ctx) const;

  // The average of one of the values, for an optimizer that moves it with the value: accumulate() leaves it
  // out from now on. Undefined for another tensor.
  Tensor hand_over(const Tensor& value);
  const Tensor& momentum() const { return momentum_; }

  // Exchanges values and averages, in place and to the bit: before an evaluation with the averages, and
  // after.
  void swap(const Context& ctx) const;

  // What a checkpoint keeps: the averages, in the values' order, and the number of updates.
  const std::vector<Tensor>& averages() const { return averages_; }
  std::int64_t updates() const { return updates_; }
  void restore_updates(std::int64_t updates) { updates_ = updates; }

 private:
  AverageOptions options_;
  std::vector<Tensor> values_, averages_;
  std::vector<bool> handed_over_;  // by value
  Tensor momentum_;                // of the update at hand, float64 []
  std::int64_t updates_ = 0;
};

}  // namespace pila
