// From an operation's arguments to the device's kernel for them.
#pragma once

#include <span>
#include <string_view>

#include "engine/core/context.h"
#include "engine/core/tensor.h"
#include "kernels/kernel_table.h"

namespace pila {

[[noreturn]] void throw_no_kernel(const Context& ctx, std::string_view op, std::span<const Tensor> tensors);
[[noreturn]] void throw_kernel_failed(std::string_view op, const char* kernel, kernels::Status status);

// Runs the first kernel of the device's table that takes `args`, with scratch memory for it. Throws Error
// when there is none; `op` and `tensors` are for its message.
template <class Args>
void launch(const Context& ctx, std::string_view op, const Args& args, std::span<const Tensor> tensors) {
  const kernels::Kernel<Args>* kernel = kernels::entry_of(ctx.kernels(), &args).select(args);
  if (kernel == nullptr) throw_no_kernel(ctx, op, tensors);

  const std::size_t bytes = kernel->workspace == nullptr ? 0 : kernel->workspace(args, ctx.stream());
  kernels::Status status = nullptr;
  if (bytes == 0) {
    status = kernel->run(args, {&ctx.stream(), nullptr});
  } else {
    const Storage workspace(ctx.device(), bytes);  // work is queued in order, so the next op may have it
    status = kernel->run(args, {&ctx.stream(), workspace.data()});
  }
  if (status != nullptr) throw_kernel_failed(op, kernel->name, status);
}

}  // namespace pila
