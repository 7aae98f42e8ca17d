#include "kernels/cuda/cuda.h"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {

const KernelTable& table() {
  static const KernelTable instance = [] {
    KernelTable table;
    table.device = "cuda";
    table.stores_16_bits = true;
    add_augment_kernels(table);
    add_cast_kernels(table);
    add_conv_tensor_core_kernels(table);  // before those that take what it leaves
    add_conv_backward_kernels(table);
    add_conv_kernels(table);
    add_depthwise_gradients_kernels(table);
    add_depthwise_kernels(table);
    add_dropout_kernels(table);
    add_elementwise_kernels(table);
    add_fold_norm_kernels(table);
    add_image_conv_kernels(table);
    add_image_kernels(table);
    add_inverted_residual_f32_kernels(table);
    add_inverted_residual_kernels(table);
    add_matmul_gradients_kernels(table);
    add_matmul_kernels(table);
    add_norm_kernels(table);
    add_norm_training_kernels(table);
    add_optimizer_kernels(table);
    add_pool_kernels(table);
    add_pooled_matmul_kernels(table);
    add_reduce_kernels(table);
    add_softmax_kernels(table);
    return table;
  }();
  return instance;
}

}  // namespace pila::kernels::cuda
