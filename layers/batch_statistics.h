// What a model's batch normalisation goes by, and how to measure it anew.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/core/context.h"
#include "layers/model.h"

namespace pila {

// Whether batch normalisation of trainable layers goes by the batch's statistics in training, or by the
// moving ones while gamma and beta still learn. Frozen layers always go by the moving ones. Choosing what is
// trainable (freeze_first(), train_last()) sets it back to the batch's.
void set_batch_statistics(Model& model, bool batch_statistics);

// Replaces the moving mean and variance of trainable batch normalisation, under the current weights, by those
// of all given images: every batch runs through the network normalised by its own statistics, and the
// batches' moments are combined exactly (weighted by their images, in float64), not as a moving average (Wu
// and Johnson, "Rethinking 'Batch' in BatchNorm", 2021). next_batch gives preprocessed images, and an
// undefined tensor at the end. Returns the number of images. Throws UsageError when there are none; whatever
// is thrown, the statistics are then as before. The ranks of ctx call it together: each gives images of its
// own, or none, and all get the statistics of all.
std::int64_t recalibrate_batch_norm(const Context& ctx, Model& model,
                                    const std::function<Tensor()>& next_batch);

}  // namespace pila
