// Neighbouring numbers, read and written in one access of 16 bytes.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/cuda.cuh"

namespace pila::kernels::cuda {

template <class T>
struct alignas(16) Pack {
  static constexpr int kLanes = 16 / sizeof(T);
  T lane[kLanes];
};

// Whether an address can be that of a pack.
inline bool is_pack_aligned(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
}

// An address that is about to be accessed in one piece of sizeof(T) bytes, in global or shared memory. The
// emulation ends the kernel where that cannot be done.
template <class T>
__device__ inline T* accessible(T* address) {
#if !defined(__CUDACC__)
  simt::check_access(address, sizeof(T));
#endif
  return address;
}

// Pack number `pack` from an address on, which is one of a pack.
template <class T>
__device__ inline Pack<T> load_pack(const T* from, std::int64_t pack) {
  return *accessible(reinterpret_cast<const Pack<T>*>(from) + pack);
}

template <class T>
__device__ inline void store_pack(T* to, std::int64_t pack, const Pack<T>& value) {
  *accessible(reinterpret_cast<Pack<T>*>(to) + pack) = value;
}

}  // namespace pila::kernels::cuda
