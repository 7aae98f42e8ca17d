// What the fast kernels share beyond Highway. Compiled once for each instruction set: include it after
// <hwy/highway.h> in a file that begins with
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "kernels/cpu/that_file.cpp"
//   #include <hwy/foreach_target.h>
//   #include <hwy/highway.h>
//
// keeps its loops in HWY_NAMESPACE between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE, and calls them from
// one `#if HWY_ONCE` part through HWY_EXPORT and HWY_DYNAMIC_DISPATCH.

#if defined(PILA_KERNELS_CPU_SIMD_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_SIMD_H_
#undef PILA_KERNELS_CPU_SIMD_H_
#else
#define PILA_KERNELS_CPU_SIMD_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;
constexpr std::size_t kFloatLanes = hn::MaxLanes(FloatTag());

// What the innermost loops of products are made of: vectors of one factor, numbers of the other in all lanes,
// and sums. T: float, or a word. AVX2 has just as many registers as these loops take. Compilers waste some,
// and read memory anew in each multiplication, more often than the processor can: so there the order of steps
// is fixed.
#if HWY_TARGET == HWY_AVX2
template <class T>
HWY_INLINE FloatVector load_factor(const T* from) {
  FloatVector v;
  asm volatile("vmovups %1, %0" : "=x"(v.raw) : "m"(*reinterpret_cast<const __m256_u*>(from)));
  return v;
}
template <class T>
HWY_INLINE FloatVector broadcast_factor(const T* from) {
  FloatVector v;
  asm volatile("vbroadcastss %1, %0" : "=x"(v.raw) : "m"(*from));
  return v;
}
HWY_INLINE FloatVector add_product(FloatVector a, FloatVector b, FloatVector sum) {
  asm volatile("vfmadd231ps %2, %1, %0" : "+x"(sum.raw) : "x"(a.raw), "x"(b.raw));
  return sum;
}
#else
template <class T>
HWY_INLINE FloatVector load_factor(const T* from) {
  return hn::BitCast(FloatTag(), hn::LoadU(hn::Rebind<T, FloatTag>(), from));
}
template <class T>
HWY_INLINE FloatVector broadcast_factor(const T* from) {
  return hn::BitCast(FloatTag(), hn::Set(hn::Rebind<T, FloatTag>(), *from));
}
HWY_INLINE FloatVector add_product(FloatVector a, FloatVector b, FloatVector sum) {
  return hn::MulAdd(a, b, sum);
}
#endif

// The first `count` lanes (fewer than a vector holds) from memory, zeros behind them; reads nothing beyond.
HWY_INLINE FloatVector load_partial(FloatTag d, const float* from, std::size_t count) {
#if HWY_TARGET <= HWY_AVX2
  return hn::MaskedLoad(hn::FirstN(d, count), d, from);
#else
  HWY_ALIGN float lanes[kFloatLanes] = {};
  for (std::size_t i = 0; i < count; ++i) lanes[i] = from[i];
  return hn::Load(d, lanes);
#endif
}

// The first `count` lanes to memory; writes nothing beyond.
HWY_INLINE void store_partial(FloatVector v, FloatTag d, float* to, std::size_t count) {
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, count), d, to);
#else
  HWY_ALIGN float lanes[kFloatLanes];
  hn::Store(v, d, lanes);
  for (std::size_t i = 0; i < count; ++i) to[i] = lanes[i];
#endif
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
