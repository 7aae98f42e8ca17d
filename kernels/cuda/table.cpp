#include "kernels/cuda/cuda.h"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {

const KernelTable& table() {
  static const KernelTable instance = [] {
    KernelTable table;
    table.device = "cuda";
    add_elementwise_kernels(table);
    add_inverted_residual_kernels(table);
    add_inverted_residual_f32_kernels(table);
    add_matmul_kernels(table);
    add_pooled_matmul_kernels(table);
    return table;
  }();
  return instance;
}

}  // namespace pila::kernels::cuda
