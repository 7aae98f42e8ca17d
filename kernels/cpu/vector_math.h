// exp and what follows from it, on vectors of float32; included like simd.h.

#if defined(PILA_KERNELS_CPU_VECTOR_MATH_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_VECTOR_MATH_H_
#undef PILA_KERNELS_CPU_VECTOR_MATH_H_
#else
#define PILA_KERNELS_CPU_VECTOR_MATH_H_
#endif

#include <hwy/highway.h>

#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// low <= high. NaN in x comes through: x86 hands out the second operand when either is NaN, while ARM's
// minimum and maximum drop it.
HWY_INLINE FloatVector clamp(FloatVector low, FloatVector high, FloatVector x) {
#if HWY_ARCH_X86
  return hn::Min(high, hn::Max(low, x));
#else
  return hn::IfThenElse(hn::Lt(x, low), low, hn::IfThenElse(hn::Gt(x, high), high, x));
#endif
}

// 2^n for whole n in [-126, 127].
HWY_INLINE FloatVector power_of_two(FloatTag d, hn::Vec<hn::RebindToSigned<FloatTag>> n) {
  const hn::RebindToSigned<FloatTag> di;
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
}

// e^x within 1 ulp, subnormal results included; infinite above 88.73, 0 below -104; NaN comes through.
HWY_INLINE FloatVector exp(FloatTag d, FloatVector x) {
  const hn::RebindToSigned<FloatTag> di;
  // x = n log 2 + r, |r| <= log(2) / 2. The upper part of log 2 has few bits: its multiples are exact.
  const auto bounded = clamp(hn::Set(d, -105.0f), hn::Set(d, 90.0f), x);
  const auto n = hn::Round(hn::Mul(bounded, hn::Set(d, 1.44269502f)));
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), bounded);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194442e-4f), r);
  // e^r = 1 + r + r^2 q(r), q fitted for the smallest relative error (3e-9).
  auto q = hn::MulAdd(hn::Set(d, 1.38145394e-3f), r, hn::Set(d, 8.36874545e-3f));
  q = hn::MulAdd(q, r, hn::Set(d, 4.16683890e-2f));
  q = hn::MulAdd(q, r, hn::Set(d, 1.66665211e-1f));
  q = hn::MulAdd(q, r, hn::Set(d, 4.99999940e-1f));
  const auto e = hn::Add(hn::MulAdd(hn::Mul(r, r), q, r), hn::Set(d, 1.0f));
  // In two steps, because 2^n alone may lie outside the normal numbers.
  const auto whole = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(whole);
  return hn::Mul(hn::Mul(e, power_of_two(d, half)), power_of_two(d, hn::Sub(whole, half)));
}

// s = 1 / (1 + e^-x) and 1 - s, both to full relative precision: from e^-|x|, which cannot overflow.
struct Logistic {
  FloatVector s, one_minus_s;

  HWY_INLINE Logistic(FloatTag d, FloatVector x) {
    const auto e = exp(d, hn::Neg(hn::Abs(x)));
    const auto sum = hn::Add(e, hn::Set(d, 1.0f));
    const auto larger = hn::Div(hn::Set(d, 1.0f), sum), smaller = hn::Div(e, sum);
    const auto negative = hn::Lt(x, hn::Zero(d));
    s = hn::IfThenElse(negative, smaller, larger);
    one_minus_s = hn::IfThenElse(negative, larger, smaller);
  }
};

HWY_INLINE FloatVector sigmoid(FloatTag d, FloatVector x) {
  const auto one = hn::Set(d, 1.0f);
  const auto e = exp(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(e, one));
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
