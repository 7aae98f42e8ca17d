// Copies from global to shared memory that go on while the thread does other things.
#pragma once

#include "kernels/cuda/device/cuda.cuh"

namespace pila::kernels::cuda {

// An address in shared memory as PTX has it.
#if defined(__CUDACC__)
__device__ inline unsigned shared_address(const void* address) {
  return static_cast<unsigned>(__cvta_generic_to_shared(address));
}
#endif

// 16 bytes, both addresses aligned; zeros where not `valid`, and then `global` is not read. Other threads may
// read them after this one's wait_for_copies() and a barrier.
__device__ inline void copy_async(void* shared, const void* global, bool valid) {
#if defined(__CUDACC__)
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
#else
  simt::copy_async(shared, global, valid ? 16 : 0);
#endif
}

// Makes a group of the thread's copies since the last one.
__device__ inline void commit_copies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  simt::commit_copies();
#endif
}

// Returns when all but the latest kGroups of the thread's groups have arrived.
template <int kGroups>
__device__ void wait_for_copies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
#else
  simt::wait_for_copies(kGroups);
#endif
}

}  // namespace pila::kernels::cuda
