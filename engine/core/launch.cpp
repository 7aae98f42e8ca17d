#include "engine/core/launch.h"

#include <string>

#include "engine/core/error.h"

namespace pila {

void throw_no_kernel(const Context& ctx, std::string_view op, std::span<const Tensor> tensors) {
  throw Error("[" + std::string(op) + "] device " + ctx.device()->name() + " has no kernel for " +
              to_string(tensors));
}

void throw_kernel_failed(std::string_view op, const char* kernel, kernels::Status status) {
  throw DeviceError("[" + std::string(op) + "] kernel " + kernel + " failed: " + status);
}

}  // namespace pila
