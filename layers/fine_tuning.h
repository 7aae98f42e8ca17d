// What learns in a model, how fast, and what its batch normalisation goes by.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/core/context.h"
#include "engine/optim/adam.h"
#include "layers/model.h"

namespace pila {

// Leaves the head and the last k layers of the backbone that hold weights trainable, and freezes the rest
// (the count of "BatSort", Zhao et al. 2024, where Keras' counts layers without weights too:
// Model::freeze_first). Throws UsageError for k < 0; a k above the number of such layers freezes nothing.
void train_last(Model& model, int k);

// Whether batch normalisation of trainable layers goes by the batch's statistics in training, or by the
// moving ones while gamma and beta still learn. Frozen layers always go by the moving ones. Choosing what is
// trainable (freeze_first(), train_last()) sets it back to the batch's.
void set_batch_statistics(Model& model, bool batch_statistics);

// Replaces the moving mean and variance of trainable batch normalisation, by the current weights, with those
// of all given images: every batch runs through the network normalised by its own statistics, and the
// batches' moments are combined exactly (weighted by their images, in float64; Chan, Golub and LeVeque). This
// is what the batches as one would give, but for the effect of normalising them apart. next_batch gives
// preprocessed images, and an undefined tensor at the end. Returns the number of images. Throws UsageError
// when there are none; whatever is thrown, statistics are then as before.
std::int64_t recalibrate_batch_norm(const Context& ctx, Model& model,
                                    const std::function<Tensor()>& next_batch);

// Whether weight decay is for this parameter when "batch-norm and bias" are excluded from it: kernels alone.
bool is_kernel(const Parameter& parameter);

struct LearningOptions {
  // Layer-wise decay of the rate: 1 for the head, layer_decay for the backbone's last block, layer_decay^2
  // for the one before ...
  double layer_decay = 1;
  bool decay_kernels_only = false;  // no weight decay of batch normalisation and biases
};

// The model's trainable parameters as the optimizer wants them, in the order of trainable_parameters().
// Throws UsageError for a layer_decay outside of (0, 1].
std::vector<AdamParameter> learning_parameters(const Model& model, const LearningOptions& options);

}  // namespace pila
