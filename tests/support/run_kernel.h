// Runs one kernel the way the engine does, with its workspace guarded.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

#include "kernels/kernel_table.h"
#include "tests/support/guarded_buffer.h"

namespace pila::test {

template <class Args>
void run_kernel(const kernels::Kernel<Args>& kernel, const Args& args, kernels::Stream& stream) {
  GuardedBuffer<std::byte> workspace(kernel.workspace == nullptr ? 0 : kernel.workspace(args, stream));
  const kernels::Status status = kernel.run(args, {&stream, workspace.data()});
  EXPECT_EQ(status, nullptr) << kernel.name << ": " << status;
  EXPECT_TRUE(workspace.check()) << "the workspace of " << kernel.name;
}

// The same with weights laid out beforehand, as plans do; for kernels that have a way of preparing them.
template <class Args>
void run_prepared(const kernels::Kernel<Args>& kernel, const Args& args, kernels::Stream& stream) {
  const kernels::Preparation<Args>& prepare = kernel.prepare;
  ASSERT_NE(prepare.run, nullptr) << kernel.name << " prepares nothing";
  GuardedBuffer<std::byte> weights(prepare.size(args, stream));
  kernels::Status status = prepare.run(args, weights.data(), {&stream});
  EXPECT_EQ(status, nullptr) << kernel.name << ": " << status;
  EXPECT_TRUE(weights.check()) << "the prepared weights of " << kernel.name;
  GuardedBuffer<std::byte> workspace(prepare.workspace == nullptr ? 0 : prepare.workspace(args, stream));
  status = kernel.run(args, {&stream, workspace.data(), weights.data()});
  EXPECT_EQ(status, nullptr) << kernel.name << ": " << status;
  EXPECT_TRUE(workspace.check()) << "the workspace of " << kernel.name;
}

// Runs the first kernel of the arguments' entry that supports them; with a name, the kernel of that name,
// which must support them.
template <class Args>
void run_entry(const kernels::KernelTable& table, const Args& args, kernels::Stream& stream,
               const char* name = nullptr) {
  for (const auto& kernel : kernels::entry_of(table, &args)) {
    if (name != nullptr && std::strcmp(name, kernel.name) != 0) continue;
    if (kernel.supports(args)) return run_kernel(kernel, args, stream);
  }
  ADD_FAILURE() << "the " << table.device << " table has no kernel " << (name == nullptr ? "" : name)
                << " for these arguments";
}

// For kernels that do not look at their stream, such as the reference's.
template <class Args>
void run_entry(const kernels::KernelTable& table, const Args& args) {
  kernels::Stream stream;
  run_entry(table, args, stream);
}

}  // namespace pila::test
