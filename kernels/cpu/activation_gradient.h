// Gradients through activations on vectors of float32; included like simd.h. A slope of 0 stops everything,
// infinities and NaN included.

#if defined(PILA_KERNELS_CPU_ACTIVATION_GRADIENT_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_ACTIVATION_GRADIENT_H_
#undef PILA_KERNELS_CPU_ACTIVATION_GRADIENT_H_
#else
#define PILA_KERNELS_CPU_ACTIVATION_GRADIENT_H_
#endif

#include <hwy/highway.h>

#include "kernels/args/types.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

HWY_INLINE FloatVector times_slope(FloatTag d, FloatVector slope, FloatVector dy) {
  return hn::IfThenZeroElse(hn::Eq(slope, hn::Zero(d)), hn::Mul(slope, dy));
}

// dy times the slope at x, what went into the activation.
template <Activation kKind>
HWY_INLINE FloatVector gradient_at_input(FloatTag d, FloatVector x, FloatVector dy) {
  const auto one = hn::Set(d, 1.0f);
  switch (kKind) {
    case Activation::none:
      return dy;
    case Activation::relu:
      return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), dy);
    case Activation::relu6:
      return hn::IfThenElseZero(hn::And(hn::Gt(x, hn::Zero(d)), hn::Lt(x, hn::Set(d, 6.0f))), dy);
    case Activation::silu: {
      const Logistic at(d, x);
      return times_slope(d, hn::Mul(at.s, hn::MulAdd(x, at.one_minus_s, one)), dy);
    }
    case Activation::sigmoid: {
      const Logistic at(d, x);
      return times_slope(d, hn::Mul(at.s, at.one_minus_s), dy);
    }
  }
  return dy;
}

// dy times the slope, from what the forward pass kept: the input for silu, the output for all others.
template <Activation kKind>
HWY_INLINE FloatVector gradient_from_kept(FloatTag d, FloatVector value, FloatVector dy) {
  if (kKind == Activation::sigmoid) {
    return times_slope(d, hn::Mul(value, hn::Sub(hn::Set(d, 1.0f), value)), dy);
  }
  return gradient_at_input<kKind>(d, value, dy);
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
