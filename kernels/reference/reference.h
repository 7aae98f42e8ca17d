// The naive version of every operation, in float32 and float64: the permanent oracle.
#pragma once

#include "kernels/kernel_table.h"

namespace pila::kernels::reference {

// Every entry is filled. Arithmetic on float32 data accumulates in float64.
const KernelTable& table();

}  // namespace pila::kernels::reference
