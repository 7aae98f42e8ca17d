// Activations on vectors of float32; included like simd.h.

#if defined(PILA_KERNELS_CPU_SIMD_ACTIVATION_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_SIMD_ACTIVATION_H_
#undef PILA_KERNELS_CPU_SIMD_ACTIVATION_H_
#else
#define PILA_KERNELS_CPU_SIMD_ACTIVATION_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "kernels/args/types.h"
#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// Operands are ordered so that NaN comes through: x86 hands out the second one when either is NaN.
HWY_INLINE FloatVector relu(FloatTag d, FloatVector x) { return hn::Max(hn::Zero(d), x); }
HWY_INLINE FloatVector relu6(FloatTag d, FloatVector x) { return hn::Min(hn::Set(d, 6.0f), relu(d, x)); }

// 1 + exp(-x). Bounded where float32 ends; NaN comes through.
HWY_INLINE FloatVector one_plus_exp_negative(FloatTag d, FloatVector x) {
  const auto e = hn::Exp(d, hn::Min(hn::Set(d, 88.0f), hn::Neg(x)));
  return hn::Add(hn::IfThenElse(hn::Eq(x, x), e, x), hn::Set(d, 1.0f));
}
HWY_INLINE FloatVector sigmoid(FloatTag d, FloatVector x) {
  return hn::Div(hn::Set(d, 1.0f), one_plus_exp_negative(d, x));
}
HWY_INLINE FloatVector silu(FloatTag d, FloatVector x) { return hn::Div(x, one_plus_exp_negative(d, x)); }

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
