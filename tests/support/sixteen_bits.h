// Kernels for 16 bits without a GPU: what is stored in 16 bits is widened, computed by the reference kernels
// and rounded once. Slow, and as exact as any kernel may be.
#pragma once

#include "kernels/kernel_table.h"

namespace pila::test {

// The entries that plans in 16 bits use, and those of the reference for all other types.
const kernels::KernelTable& sixteen_bits_table();

}  // namespace pila::test
