// What each file of fast kernels adds to the CPU's table.
#pragma once

#include "kernels/kernel_table.h"

namespace pila::kernels::cpu {

void add_matmul_kernels(KernelTable& table);
void add_rounded_matmul_kernels(KernelTable& table);
void add_matmul_gradients_kernels(KernelTable& table);
void add_conv_kernels(KernelTable& table);
void add_depthwise_kernels(KernelTable& table);
void add_norm_kernels(KernelTable& table);
void add_fold_norm_kernels(KernelTable& table);
void add_activation_kernels(KernelTable& table);
void add_elementwise_kernels(KernelTable& table);
void add_dropout_kernels(KernelTable& table);
void add_cast_kernels(KernelTable& table);
void add_reduce_kernels(KernelTable& table);
void add_pool_kernels(KernelTable& table);
void add_loss_kernels(KernelTable& table);
void add_augment_kernels(KernelTable& table);
void add_image_kernels(KernelTable& table);
void add_resize_kernels(KernelTable& table);
void add_optimizer_kernels(KernelTable& table);
void add_image_conv_kernels(KernelTable& table);
void add_pooled_matmul_kernels(KernelTable& table);
void add_inverted_residual_kernels(KernelTable& table);

}  // namespace pila::kernels::cpu
