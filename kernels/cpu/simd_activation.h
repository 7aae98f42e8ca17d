// Activations on vectors of float32; included like simd.h.

#if defined(PILA_KERNELS_CPU_SIMD_ACTIVATION_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_SIMD_ACTIVATION_H_
#undef PILA_KERNELS_CPU_SIMD_ACTIVATION_H_
#else
#define PILA_KERNELS_CPU_SIMD_ACTIVATION_H_
#endif

#include <hwy/highway.h>

#include "kernels/args/types.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// NaN comes through all of them.
HWY_INLINE FloatVector relu(FloatTag d, FloatVector x) {
#if HWY_ARCH_X86
  return hn::Max(hn::Zero(d), x);  // the second operand when either is NaN
#else
  return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
#endif
}
HWY_INLINE FloatVector relu6(FloatTag d, FloatVector x) { return clamp(hn::Zero(d), hn::Set(d, 6.0f), x); }
HWY_INLINE FloatVector silu(FloatTag d, FloatVector x) { return hn::Mul(x, sigmoid(d, x)); }

HWY_INLINE FloatVector activate(FloatTag d, Activation kind, FloatVector x) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return relu(d, x);
    case Activation::relu6:
      return relu6(d, x);
    case Activation::silu:
      return silu(d, x);
    case Activation::sigmoid:
      return sigmoid(d, x);
  }
  return x;
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
