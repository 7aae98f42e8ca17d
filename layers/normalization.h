// Batch normalisation.
#pragma once

#include <string>

#include "engine/ops/ops.h"
#include "layers/initializer.h"
#include "layers/layer.h"

namespace pila {

// gamma, beta, moving_mean, moving_variance, all [channels]. Two switches: whether gamma and beta learn
// (trainable()), and whether training normalises with the batch's statistics (and moves the moving ones, but
// not in a repetition) or with the moving ones. Keras: BatchNormalization, whose `trainable` sets both.
class BatchNormalization : public Layer {
 public:
  BatchNormalization(Initializer& init, std::string name, std::int64_t channels, double epsilon,
                     double momentum);

  // x [..., channels]; the activation of the layer behind is done in the same pass.
  Tensor forward(const Context& ctx, const Tensor& x, Activation activation = Activation::none) const;

  // Whether forward() would normalise with given statistics, the moving ones.
  bool has_given_statistics(const Context& ctx) const;
  // By given statistics: the convolution without a bias that has this kernel, with this layer behind it.
  ops::FoldedWeights folded(const Context& ctx, const Tensor& kernel) const;

  // Whether whoever reads the output may normalise it: by the batch's statistics, of a batch that is whole.
  bool may_leave_to_reader(const Context& ctx) const;
  // The same as forward(), but for the pass over x.
  ops::Unnormalised leave_to_reader(const Context& ctx, const Tensor& x, Activation activation) const;

  void set_trainable(bool trainable) override;
  bool uses_batch_statistics() const { return batch_statistics_; }
  void set_batch_statistics(bool batch_statistics) { batch_statistics_ = batch_statistics; }

  // While measuring, also outside of training, forward() normalises with the batch's statistics and leaves
  // them as the moving ones.
  void set_measuring(bool measuring) { measuring_ = measuring; }

  double epsilon() const { return epsilon_; }
  double momentum() const { return momentum_; }

 private:
  void move_statistics(const Context& ctx, const Tensor& mean, const Tensor& variance) const;

  double epsilon_, momentum_;
  bool batch_statistics_ = true, measuring_ = false;
};

}  // namespace pila
