// The CUDA kernels as the emulation runs them.
#pragma once

#include "kernels/kernel_table.h"

namespace pila::simt {

// For streams of the devices of memory.h. The same entries as kernels::cuda::table().
const kernels::KernelTable& table();

}  // namespace pila::simt
