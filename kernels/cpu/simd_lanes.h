// A vector's worth of neighbouring numbers, all lanes of it or the first few; included like simd.h.

#if defined(PILA_KERNELS_CPU_SIMD_LANES_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_SIMD_LANES_H_
#undef PILA_KERNELS_CPU_SIMD_LANES_H_
#else
#define PILA_KERNELS_CPU_SIMD_LANES_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/simd.h"

// Before a loop of fixed length over an array of vectors: keeps them in registers.
#undef PILA_UNROLL
#define PILA_UNROLL _Pragma("GCC unroll 16")

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// read() is for long inputs read once and in order: it asks for what comes a page later, sooner than the
// processor would by itself. put() is for what is written once and not read again soon.
struct AllLanes {
  HWY_INLINE FloatVector load(const float* from) const { return hn::LoadU(FloatTag(), from); }
  HWY_INLINE FloatVector read(const float* from) const {
    constexpr std::uintptr_t kAhead = 4096;  // bytes; fetching beyond the end is harmless
    hwy::Prefetch(reinterpret_cast<const float*>(reinterpret_cast<std::uintptr_t>(from) + kAhead));
    return load(from);
  }
  HWY_INLINE void store(FloatVector v, float* to) const { hn::StoreU(v, FloatTag(), to); }
  HWY_INLINE void put(FloatVector v, float* to) const { store(v, to); }
};

// put() goes past the caches; its addresses are multiples of a vector.
struct AllLanesPastCaches : AllLanes {
  HWY_INLINE void put(FloatVector v, float* to) const { hn::Stream(v, FloatTag(), to); }
};

struct FirstLanes {
  std::size_t count;
  HWY_INLINE FloatVector load(const float* from) const { return load_partial(FloatTag(), from, count); }
  HWY_INLINE FloatVector read(const float* from) const { return load(from); }
  HWY_INLINE void store(FloatVector v, float* to) const { store_partial(v, FloatTag(), to, count); }
  HWY_INLINE void put(FloatVector v, float* to) const { store(v, to); }
};

// Makes what was written past the caches visible to other threads before any later write.
inline void finish_past_caches() {
#if HWY_ARCH_X86
  _mm_sfence();
#endif
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
