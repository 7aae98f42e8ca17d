// A vector's worth of neighbouring numbers, all lanes of it or the first few; included like simd.h.

#if defined(PILA_KERNELS_CPU_SIMD_LANES_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_SIMD_LANES_H_
#undef PILA_KERNELS_CPU_SIMD_LANES_H_
#else
#define PILA_KERNELS_CPU_SIMD_LANES_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "kernels/cpu/simd.h"

// Before a loop of fixed length over an array of vectors: keeps them in registers.
#undef PILA_UNROLL
#define PILA_UNROLL _Pragma("GCC unroll 16")

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

struct AllLanes {
  HWY_INLINE FloatVector load(const float* from) const { return hn::LoadU(FloatTag(), from); }
  HWY_INLINE void store(FloatVector v, float* to) const { hn::StoreU(v, FloatTag(), to); }
};

struct FirstLanes {
  std::size_t count;
  HWY_INLINE FloatVector load(const float* from) const { return load_partial(FloatTag(), from, count); }
  HWY_INLINE void store(FloatVector v, float* to) const { store_partial(v, FloatTag(), to, count); }
};

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
