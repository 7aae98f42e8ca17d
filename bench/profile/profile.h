// The two things that pila-profile does.
#pragma once

#include "bench/profile/options.h"

namespace pila::bench {

// Prints where the time of a model's plan goes, operation by operation.
void profile_plan(const ProfileOptions& options);

// Compares a network's layers with a library's, and writes what it found. Throws Error where results differ.
void profile_layers(const ProfileOptions& options);

}  // namespace pila::bench
