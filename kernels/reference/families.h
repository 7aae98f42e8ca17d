// What each file of reference kernels adds to the table, and how a kernel for float32 and float64 is made.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/kernel_table.h"
#include "kernels/reference/factors.h"

namespace pila::kernels::reference {

void add_conv_kernels(KernelTable& table);
void add_depthwise_kernels(KernelTable& table);
void add_matmul_kernels(KernelTable& table);
void add_norm_kernels(KernelTable& table);
void add_activation_kernels(KernelTable& table);
void add_elementwise_kernels(KernelTable& table);
void add_cast_kernels(KernelTable& table);
void add_reduce_kernels(KernelTable& table);
void add_pool_kernels(KernelTable& table);
void add_loss_kernels(KernelTable& table);
void add_augment_kernels(KernelTable& table);
void add_image_kernels(KernelTable& table);
void add_optimizer_kernels(KernelTable& table);
void add_fused_kernels(KernelTable& table);
void add_gradients_kernels(KernelTable& table);

constexpr bool is_float(DType type) { return type == DType::f32 || type == DType::f64; }

// The kernel that runs one of two functions, by the arguments' type.
template <class Args, void (*run_f32)(const Args&), void (*run_f64)(const Args&)>
Kernel<Args> float_kernel() {
  Kernel<Args> kernel;
  kernel.name = "reference";
  kernel.supports = [](const Args& args) { return is_float(args.type); };
  kernel.run = [](const Args& args, const Launch&) -> Status {
    args.type == DType::f64 ? run_f64(args) : run_f32(args);
    return nullptr;
  };
  return kernel;
}

// The same for products.
template <class Args, void (*run_f32)(const Args&), void (*run_f64)(const Args&)>
Kernel<Args> product_kernel() {
  Kernel<Args> kernel = float_kernel<Args, run_f32, run_f64>();
  kernel.supports = [](const Args& args) {
    return is_float(args.type) && can_round(args.type, args.rounding);
  };
  return kernel;
}

// How many channels are summed side by side: few enough for float64 sums on the stack.
constexpr std::int64_t kTile = 64;

// Calls body(begin, size) for consecutive pieces of [0, count) of at most kTile.
template <class Body>
void for_tiles(std::int64_t count, const Body& body) {
  for (std::int64_t begin = 0; begin < count; begin += kTile) body(begin, std::min(kTile, count - begin));
}

}  // namespace pila::kernels::reference
