// What each file of CUDA kernels adds to the table.
#pragma once

#include "kernels/kernel_table.h"

namespace pila::kernels::cuda {

void add_augment_kernels(KernelTable& table);
void add_cast_kernels(KernelTable& table);
void add_conv_backward_kernels(KernelTable& table);
void add_conv_kernels(KernelTable& table);
void add_conv_tensor_core_kernels(KernelTable& table);
void add_depthwise_gradients_kernels(KernelTable& table);
void add_depthwise_kernels(KernelTable& table);
void add_dropout_kernels(KernelTable& table);
void add_elementwise_kernels(KernelTable& table);
void add_fold_norm_kernels(KernelTable& table);
void add_image_conv_kernels(KernelTable& table);
void add_image_kernels(KernelTable& table);
void add_inverted_residual_f32_kernels(KernelTable& table);
void add_inverted_residual_kernels(KernelTable& table);
void add_matmul_gradients_kernels(KernelTable& table);
void add_matmul_kernels(KernelTable& table);
void add_norm_kernels(KernelTable& table);
void add_norm_training_kernels(KernelTable& table);
void add_optimizer_kernels(KernelTable& table);
void add_pool_kernels(KernelTable& table);
void add_pooled_matmul_kernels(KernelTable& table);
void add_reduce_kernels(KernelTable& table);
void add_softmax_kernels(KernelTable& table);

}  // namespace pila::kernels::cuda
