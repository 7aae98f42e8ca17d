#include "tests/simt/table.h"

#include "kernels/cuda/cuda.h"

namespace pila::simt {

const kernels::KernelTable& table() { return kernels::cuda::table(); }

}  // namespace pila::simt
