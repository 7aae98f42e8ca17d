// What learns in a model, and how fast.
#pragma once

#include <vector>

#include "engine/optim/adam.h"
#include "layers/batch_statistics.h"
#include "layers/model.h"

namespace pila {

// Leaves the head and the last k layers of the backbone that hold weights trainable, and freezes the rest
// (the count of "BatSort", Zhao et al. 2024, where Keras' counts layers without weights too:
// Model::freeze_first). Throws UsageError for k < 0; a k above the number of such layers freezes nothing.
void train_last(Model& model, int k);

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
