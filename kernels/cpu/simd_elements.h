// The processor's instructions for elements of products; included like simd.h.
//
// Those that Highway does not know are written in assembly language, because functions compiled for its
// targets could not inline intrinsics for them. has_bfloat16() and has_dot_products() say whether they may be
// run.

#if defined(PILA_KERNELS_CPU_SIMD_ELEMENTS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_SIMD_ELEMENTS_H_
#undef PILA_KERNELS_CPU_SIMD_ELEMENTS_H_
#else
#define PILA_KERNELS_CPU_SIMD_ELEMENTS_H_
#endif

#include <hwy/highway.h>

#include "kernels/cpu/elements.h"
#include "kernels/cpu/simd.h"

// Whether the instruction set that is compiled for has the vectors that they work on.
#undef PILA_BFLOAT16
#undef PILA_DOT_PRODUCTS
#undef PILA_MATRIX_UNIT
#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3
#define PILA_MATRIX_UNIT 1
#else
#define PILA_MATRIX_UNIT 0
#endif
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
#define PILA_BFLOAT16 1
#define PILA_DOT_PRODUCTS 1
#else
#define PILA_BFLOAT16 0
#if defined(__ARM_FEATURE_DOTPROD)
#define PILA_DOT_PRODUCTS 1
#else
#define PILA_DOT_PRODUCTS 0
#endif
#endif

// Whether some processor that the program is for does without the latter.
#undef PILA_NO_DOT_PRODUCTS
#if PILA_DOT_PRODUCTS && (defined(__AVX512VNNI__) || defined(__ARM_FEATURE_DOTPROD))
#define PILA_NO_DOT_PRODUCTS 0
#else
#define PILA_NO_DOT_PRODUCTS 1
#endif

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

using WordTag = hn::RebindToUnsigned<FloatTag>;
using IntTag = hn::RebindToSigned<FloatTag>;
using IntVector = hn::Vec<IntTag>;

#if PILA_BFLOAT16

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

#endif

#if PILA_DOT_PRODUCTS

// sum + a * b over the bytes of each word.
HWY_INLINE IntVector add_quad_products(IntVector a, IntVector b, IntVector sum) {
#if HWY_ARCH_ARM_A64
  return IntVector(vdotq_s32(sum.raw, vreinterpretq_s8_s32(a.raw), vreinterpretq_s8_s32(b.raw)));
#else
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
  return sum;
#endif
}

#endif

#if PILA_NO_DOT_PRODUCTS

// sum + a * b over both halves of each word.
HWY_INLINE IntVector add_short_products(IntVector a, IntVector b, IntVector sum) {
#if HWY_ARCH_ARM_A64
  const int16x8_t x = vreinterpretq_s16_s32(a.raw), y = vreinterpretq_s16_s32(b.raw);
  return hn::Add(sum,
                 IntVector(vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y))));
#elif HWY_TARGET <= HWY_AVX3
  return hn::Add(sum, IntVector{_mm512_madd_epi16(a.raw, b.raw)});
#elif HWY_TARGET == HWY_AVX2
  __m256i products;  // see load_factor()
  asm volatile("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
               : "+x"(sum.raw), "=&x"(products)
               : "x"(a.raw), "x"(b.raw));
  return sum;
#else
  return hn::Add(sum, IntVector{_mm_madd_epi16(a.raw, b.raw)});
#endif
}

#endif

// Makes a vector of numbers elements.
template <class Element>
class Rounding;

template <>
class Rounding<float> {
 public:
  explicit Rounding(const Quantization&) {}
  HWY_INLINE void operator()(FloatVector v, float* to) const { hn::StoreU(v, FloatTag(), to); }
};

#if PILA_BFLOAT16
template <>
class Rounding<BFloat16Pair> {
 public:
  explicit Rounding(const Quantization&) {}
  HWY_INLINE void operator()(FloatVector v, BFloat16Pair* to) const {
    hn::StoreU(rounded(v), hn::Half<WordTag>(), &to->bits);
  }
};
#endif

// quantize() of a vector of numbers.
class Quantizer {
 public:
  explicit Quantizer(const Quantization& by)
      : steps_(1.0f / by.scale),
        low_(static_cast<float>(-by.zero)),
        high_(static_cast<float>(255 - by.zero)),
        zero_(by.zero) {}

  HWY_INLINE IntVector operator()(FloatVector v) const {
    const FloatTag d;
    const auto steps = hn::Mul(v, hn::Set(d, steps_));
    const auto bounded = hn::Min(hn::Max(steps, hn::Set(d, low_)), hn::Set(d, high_));
    // What is bounded needs none of Highway's care for what is too large or negative.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
    const IntVector nearest{_mm512_cvtps_epi32(bounded.raw)};
#elif HWY_TARGET == HWY_AVX2
    const IntVector nearest{_mm256_cvtps_epi32(bounded.raw)};
#else
    const IntVector nearest = hn::NearestInt(bounded);
#endif
    return hn::Add(nearest, hn::Set(IntTag(), zero_));
  }

 private:
  const float steps_, low_, high_;
  const std::int32_t zero_;
};

// Less kQuadShift.
template <>
class Rounding<Int8Quad> {
 public:
  explicit Rounding(const Quantization& by) : quantize_(by) {}

  HWY_INLINE void operator()(FloatVector v, Int8Quad* to) const {
    const auto q = quantize_(v);
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(q.raw));
#else
    const hn::Rebind<std::uint8_t, FloatTag> bytes;
    const auto shifted = hn::Xor(hn::DemoteTo(bytes, q), hn::Set(bytes, std::uint8_t{kQuadShift}));
    hn::StoreU(shifted, bytes, reinterpret_cast<std::uint8_t*>(to));
#endif
  }

 private:
  const Quantizer quantize_;
};

template <>
class Rounding<Int8Pair> {
 public:
  explicit Rounding(const Quantization& by) : quantize_(by) {}

  HWY_INLINE void operator()(FloatVector v, Int8Pair* to) const {
    const hn::Rebind<std::int16_t, FloatTag> shorts;
    hn::StoreU(hn::DemoteTo(shorts, quantize_(v)), shorts, reinterpret_cast<std::int16_t*>(to));
  }

 private:
  const Quantizer quantize_;
};

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
