// Neighbouring numbers, read and written in one access: of 16 bytes where nothing else is said.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/cuda.cuh"

namespace pila::kernels::cuda {

template <class T, int kNumbers = 16 / sizeof(T)>
struct alignas(kNumbers * sizeof(T)) Pack {
  static constexpr int kLanes = kNumbers;
  T lane[kLanes];
};

// Whether an address can be that of a pack.
inline bool is_pack_aligned(const void* address) { return reinterpret_cast<std::uintptr_t>(address) % 16 == 0; }

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
template <class T, int kNumbers = 16 / sizeof(T)>
__device__ inline Pack<T, kNumbers> load_pack(const T* from, std::int64_t pack) {
  return *accessible(reinterpret_cast<const Pack<T, kNumbers>*>(from) + pack);
}

template <class T, int kNumbers>
__device__ inline void store_pack(T* to, std::int64_t pack, const Pack<T, kNumbers>& value) {
  *accessible(reinterpret_cast<Pack<T, kNumbers>*>(to) + pack) = value;
}

}  // namespace pila::kernels::cuda
