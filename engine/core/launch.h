// From an operation's arguments to the device's kernel for them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "engine/core/context.h"
#include "engine/core/tensor.h"
#include "kernels/kernel_table.h"

namespace pila {

// A kernel with its arguments, to be run at will.
class KernelCall {
 public:
  virtual ~KernelCall() = default;
  virtual const char* kernel() const = 0;
  // Bytes of weights in the kernel's own layout (0: it has none), and how they are made.
  virtual std::size_t prepared_size(const kernels::Stream& stream) const = 0;
  virtual kernels::Status prepare(void* to, const kernels::Launch& launch) const = 0;
  virtual std::size_t workspace(const kernels::Stream& stream, bool prepared) const = 0;  // bytes
  virtual kernels::Status run(const kernels::Launch& launch) const = 0;
};

// Names what the device's work is for, while it is in scope.
class ProfilerRange {
 public:
  ProfilerRange(kernels::DeviceApi& api, std::string_view name) : api_(api) { api_.begin_range(name); }
  ~ProfilerRange() { api_.end_range(); }
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;

 private:
  kernels::DeviceApi& api_;
};

// Takes what operations would launch.
class CallCollector {
 public:
  virtual ~CallCollector() = default;
  virtual void take(std::string_view op, std::unique_ptr<const KernelCall> call) = 0;
};

template <class Args>
class BoundKernel : public KernelCall {
 public:
  BoundKernel(const kernels::Kernel<Args>& kernel, const Args& args) : kernel_(kernel), args_(args) {}
  const char* kernel() const override { return kernel_.name; }
  std::size_t prepared_size(const kernels::Stream& stream) const override {
    return bytes(kernel_.prepare.size, stream);
  }
  kernels::Status prepare(void* to, const kernels::Launch& launch) const override {
    return kernel_.prepare.run(args_, to, launch);
  }
  std::size_t workspace(const kernels::Stream& stream, bool prepared) const override {
    return bytes(prepared ? kernel_.prepare.workspace : kernel_.workspace, stream);
  }
  kernels::Status run(const kernels::Launch& launch) const override { return kernel_.run(args_, launch); }

 private:
  std::size_t bytes(std::size_t (*size)(const Args&, const kernels::Stream&),
                    const kernels::Stream& stream) const {
    return size == nullptr ? 0 : size(args_, stream);
  }

  const kernels::Kernel<Args>& kernel_;  // the device's table outlives everything
  const Args args_;
};

[[noreturn]] void throw_no_kernel(const Context& ctx, std::string_view op, std::span<const Tensor> tensors);
[[noreturn]] void throw_kernel_failed(std::string_view op, const char* kernel, kernels::Status status);

// Runs the first kernel of the device's table that takes `args`, with scratch memory for it; hands it to the
// context's collector instead where there is one. Throws Error when there is none; `op` and `tensors` are for
// its message.
template <class Args>
void launch(const Context& ctx, std::string_view op, const Args& args, std::span<const Tensor> tensors) {
  const kernels::Kernel<Args>* kernel = kernels::entry_of(ctx.kernels(), &args).select(args);
  if (kernel == nullptr) throw_no_kernel(ctx, op, tensors);
  if (ctx.collector() != nullptr) {
    ctx.collector()->take(op, std::make_unique<const BoundKernel<Args>>(*kernel, args));
    return;
  }

  const ProfilerRange range(ctx.device()->api(), op);
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
