// CUDA for a host compiler: device code that includes this (by way of kernels/cuda/device/cuda.cuh) is plain
// C++, whose launches run on the CPU, thread by thread.
//
// How to write a kernel that can be emulated:
// - Include kernels/cuda/device/cuda.cuh, no header of CUDA's, and start kernels with launch() of launch.cuh.
// - Take a block's shared memory from shared_memory<T>() and its size from the launch; there is no
// __shared__.
// - Blocks have whole warps. Every lane of a mask takes part in what a warp does together, and every thread
// of
//   a block comes to the same __syncthreads(): no return before one.
// - Use inline PTX, 16-bit numbers, accesses of 16 bytes, tensor cores and asynchronous copies through the
//   wrappers of kernels/cuda/device/ only. Each has both sides, and on this one checks what it is given.
// - What CUDA declares without being asked (dim3, threadIdx, fmaf, expf ...) and is not below: add it here.
//
// What is found, and reported by launch() as a status: barriers that not all threads of a block reach, or
// that they reach in different lines; warp operations with missing lanes; accesses through the wrappers that
// are misaligned or outside of the block's shared memory or the device's allocations; asynchronous copies
// that nobody waits for; launches that a GPU would refuse. Shared memory read before it was written, and
// threads that race, show as bits that differ between kSchedules. AddressSanitizer sees every other access
// that is out of range, and the device's memory lies between guards (memory.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "tests/simt/multiprocessor.h"
#include "tests/simt/tensor_core.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

#define threadIdx ::pila::simt::thread_index
#define blockIdx ::pila::simt::block_index
#define blockDim ::pila::simt::block_extent
#define gridDim ::pila::simt::grid_extent

using dim3 = pila::simt::Extent3;
constexpr int warpSize = 32;

inline void __syncthreads(int line = __builtin_LINE()) { pila::simt::block_barrier(line); }

inline void __syncwarp(unsigned mask = pila::simt::kWholeWarp) {
  if (pila::simt::meet(mask, "__syncwarp", nullptr) != nullptr) pila::simt::depart(mask);
}

namespace pila::simt {

// The value of the lane that source_of(lane) names, which must be in the mask.
template <class T, class SourceOf>
T shuffle(unsigned mask, const char* name, T value, const SourceOf& source_of) {
  struct Deposit {
    T given, taken;
    unsigned source;
  } mine{value, value, source_of(lane_id())};
  if (mine.source >= kWarp || (mask >> mine.source & 1) == 0) {
    fault(std::string(name) + " with missing lanes: reads lane " + std::to_string(mine.source));
  }
  if (const Deposits all = meet(mask, name, &mine)) {
    const auto of = [&](unsigned lane) { return static_cast<Deposit*>(all[lane]); };
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      if ((mask >> lane & 1) != 0) of(lane)->taken = of(of(lane)->source)->given;
    }
    depart(mask);
  }
  return mine.taken;
}

inline unsigned ballot(unsigned mask, const char* name, bool predicate) {
  struct Deposit {
    bool given;
    unsigned taken;
  } mine{predicate, 0};
  if (const Deposits all = meet(mask, name, &mine)) {
    unsigned votes = 0;
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      if ((mask >> lane & 1) != 0) votes |= unsigned{static_cast<Deposit*>(all[lane])->given} << lane;
    }
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      if ((mask >> lane & 1) != 0) static_cast<Deposit*>(all[lane])->taken = votes;
    }
    depart(mask);
  }
  return mine.taken;
}

}  // namespace pila::simt

template <class T>
T __shfl_sync(unsigned mask, T value, int source) {
  return pila::simt::shuffle(mask, "__shfl_sync", value, [=](unsigned) { return source & 31u; });
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int flipped) {
  return pila::simt::shuffle(mask, "__shfl_xor_sync", value,
                             [=](unsigned lane) { return lane ^ static_cast<unsigned>(flipped); });
}

// Lanes whose source lies outside of the warp keep their own value.
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by) {
  return pila::simt::shuffle(mask, "__shfl_down_sync", value,
                             [=](unsigned lane) { return lane + by < 32 ? lane + by : lane; });
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by) {
  return pila::simt::shuffle(mask, "__shfl_up_sync", value,
                             [=](unsigned lane) { return lane >= by ? lane - by : lane; });
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return pila::simt::ballot(mask, "__ballot_sync", predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) {
  return pila::simt::ballot(mask, "__any_sync", predicate != 0) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return pila::simt::ballot(mask, "__all_sync", predicate != 0) == mask;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
