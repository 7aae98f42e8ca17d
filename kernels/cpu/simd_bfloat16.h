// The processor's instructions for bfloat16; included like simd.h.
//
// They are written in assembly language because functions compiled for Highway's targets, which know nothing
// of AVX-512 BF16, could not inline intrinsics for it. has_bfloat16() says whether they may be run.

#if defined(PILA_KERNELS_CPU_SIMD_BFLOAT16_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_SIMD_BFLOAT16_H_
#undef PILA_KERNELS_CPU_SIMD_BFLOAT16_H_
#else
#define PILA_KERNELS_CPU_SIMD_BFLOAT16_H_
#endif

#include <hwy/highway.h>

#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/simd.h"

// Whether the instruction set that is compiled for has the vectors that they work on.
#undef PILA_BFLOAT16
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
#define PILA_BFLOAT16 1
#else
#define PILA_BFLOAT16 0
#endif

#if PILA_BFLOAT16
HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

using WordTag = hn::RebindToUnsigned<FloatTag>;

// To nearest, ties to even; subnormal numbers to zero.
HWY_INLINE hn::Vec<hn::Half<WordTag>> rounded(FloatVector v) {
  hn::Vec<hn::Half<WordTag>> pairs;
  asm("vcvtneps2bf16 %1, %0" : "=v"(pairs.raw) : "v"(v.raw));
  return pairs;
}

// sum + a * b over both halves of each word of a and b, whose products are exact.
HWY_INLINE FloatVector add_pair_products(FloatVector a, FloatVector b, FloatVector sum) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
  return sum;
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#endif  // include guard
