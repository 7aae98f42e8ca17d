// Batch normalisation.
#pragma once

#include <string>

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

  void set_trainable(bool trainable) override;
  bool uses_batch_statistics() const { return batch_statistics_; }
  void set_batch_statistics(bool batch_statistics) { batch_statistics_ = batch_statistics; }

  // While measuring, also outside of training, forward() normalises with the batch's statistics and leaves
  // them as the moving ones.
  void set_measuring(bool measuring) { measuring_ = measuring; }

  double epsilon() const { return epsilon_; }
  double momentum() const { return momentum_; }

 private:
  double epsilon_, momentum_;
  bool batch_statistics_ = true, measuring_ = false;
};

}  // namespace pila
