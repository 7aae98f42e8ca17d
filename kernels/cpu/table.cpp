#include "kernels/cpu/cpu.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/families.h"
#include "kernels/reference/reference.h"

namespace pila::kernels::cpu {
namespace {

template <class Args>
void append(Entry<Args>& entry, const Entry<Args>& reference) {
  for (const auto& kernel : reference) entry.add(kernel);
}

}  // namespace

const KernelTable& table() {
  static const KernelTable instance = [] {
    KernelTable table;
    table.device = "cpu";
    table.lacks_bf16 = has_bfloat16() ? nullptr : kBFloat16Feature;
    add_matmul_kernels(table);
    add_rounded_matmul_kernels(table);
    add_matmul_gradients_kernels(table);
    add_image_conv_kernels(table);
    add_conv_kernels(table);
    add_activation_kernels(table);
    add_depthwise_kernels(table);
    add_norm_kernels(table);
    add_fold_norm_kernels(table);
    add_elementwise_kernels(table);
    add_dropout_kernels(table);
    add_cast_kernels(table);
    add_reduce_kernels(table);
    add_pool_kernels(table);
    add_loss_kernels(table);
    add_augment_kernels(table);
    add_image_kernels(table);
    add_resize_kernels(table);
    add_optimizer_kernels(table);
    add_pooled_matmul_kernels(table);
    add_inverted_residual_kernels(table);
    const KernelTable& reference = reference::table();
#define PILA_APPEND(Args, entry) append(table.entry, reference.entry);
    PILA_KERNEL_ENTRIES(PILA_APPEND)
#undef PILA_APPEND
    return table;
  }();
  return instance;
}

}  // namespace pila::kernels::cpu
