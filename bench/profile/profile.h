// The things that pila-profile does.
#pragma once

#include "bench/profile/options.h"
#include "engine/core/context.h"

namespace pila::bench {

// Prints where the time of a model's plan goes, operation by operation.
void profile_plan(const ProfileOptions& options);

// Compares a network's layers with a library's, and writes what it found. Throws Error where results differ.
void profile_layers(const ProfileOptions& options);

// Times every way to cut the network's products by tensor cores, and writes a row of
// kernels/cuda/tuned_cuts.inc for each that is faster than what is in use. Throws UsageError in builds
// without CUDA.
void tune_products(const Context& ctx, const ProfileOptions& options,
                   const std::vector<Precision>& precisions);

}  // namespace pila::bench
