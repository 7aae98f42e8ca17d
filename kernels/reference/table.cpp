#include "kernels/reference/families.h"
#include "kernels/reference/reference.h"

namespace pila::kernels::reference {

const KernelTable& table() {
  static const KernelTable instance = [] {
    KernelTable table;
    table.device = "reference";
    add_conv_kernels(table);
    add_depthwise_kernels(table);
    add_matmul_kernels(table);
    add_norm_kernels(table);
    add_activation_kernels(table);
    add_elementwise_kernels(table);
    add_cast_kernels(table);
    add_reduce_kernels(table);
    add_pool_kernels(table);
    add_loss_kernels(table);
    add_augment_kernels(table);
    add_image_kernels(table);
    add_optimizer_kernels(table);
    add_fused_kernels(table);
    add_gradients_kernels(table);
    return table;
  }();
  return instance;
}

}  // namespace pila::kernels::reference
