#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise_cast.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

using WordTag = hn::RebindToUnsigned<FloatTag>;
using IntTag = hn::RebindToSigned<FloatTag>;
using HalfTag = hn::Rebind<std::uint16_t, FloatTag>;
using ByteTag = hn::Rebind<std::uint8_t, FloatTag>;

using WordVector = hn::Vec<WordTag>;

HWY_INLINE WordVector words_of(FloatVector x) { return hn::BitCast(WordTag(), x); }
HWY_INLINE FloatVector floats_of(WordVector x) { return hn::BitCast(FloatTag(), x); }
HWY_INLINE WordVector word(std::uint32_t value) { return hn::Set(WordTag(), value); }
// Signed comparison: all words compared here are below 2^31.
HWY_INLINE auto below(WordVector a, WordVector b) {
  return hn::Lt(hn::BitCast(IntTag(), a), hn::BitCast(IntTag(), b));
}
HWY_INLINE WordVector choose(decltype(below(WordVector(), WordVector())) mask, WordVector yes,
                             WordVector no) {
  return hn::IfThenElse(hn::RebindMask(WordTag(), mask), yes, no);
}

// The 16-bit formats follow kernels/args/half.h bit for bit, NaN's payload included, on every instruction
// set; the processors' own conversions differ in it.
struct FloatToHalf {
  using From = float;
  using To = std::uint16_t;
  HWY_INLINE void operator()(const float* from, std::uint16_t* to) const {
    const auto bits = words_of(hn::LoadU(FloatTag(), from));
    const auto sign = hn::And(hn::ShiftRight<16>(bits), word(0x8000u));
    const auto magnitude = hn::And(bits, word(0x7FFFFFFFu));
    const auto odd = hn::And(hn::ShiftRight<13>(magnitude), word(1));
    const auto normal =
        hn::ShiftRight<13>(hn::Sub(hn::Add(hn::Add(magnitude, word(0xFFFu)), odd), word(0x38000000u)));
    const auto shifted = hn::Add(floats_of(magnitude), hn::Set(FloatTag(), 0.5f));
    const auto subnormal = hn::Sub(words_of(shifted), word(0x3F000000u));
    auto result = choose(below(magnitude, word(0x38800000u)), subnormal, normal);
    result = choose(below(magnitude, word(0x477FF000u)), result, word(0x7C00u));
    result = choose(below(word(0x7F800000u), magnitude), word(0x7E00u), result);
    const auto halves = hn::DemoteTo(HalfTag(), hn::BitCast(IntTag(), hn::Or(sign, result)));
    hn::StoreU(halves, HalfTag(), to);
  }
};

struct HalfToFloat {
  using From = std::uint16_t;
  using To = float;
  HWY_INLINE void operator()(const std::uint16_t* from, float* to) const {
    const auto bits = hn::PromoteTo(WordTag(), hn::LoadU(HalfTag(), from));
    const auto sign = hn::ShiftLeft<16>(hn::And(bits, word(0x8000u)));
    const auto magnitude = hn::And(bits, word(0x7FFFu));
    const auto rebased = hn::Add(hn::ShiftLeft<13>(magnitude), word(112u << 23));
    const auto special = hn::Add(rebased, word(112u << 23));
    const auto subnormal =
        hn::Mul(hn::ConvertTo(FloatTag(), hn::BitCast(IntTag(), magnitude)), hn::Set(FloatTag(), 0x1p-24f));
    auto result = choose(below(magnitude, word(0x0400u)), words_of(subnormal), rebased);
    result = choose(below(word(0x7BFFu), magnitude), special, result);
    hn::StoreU(floats_of(hn::Or(sign, result)), FloatTag(), to);
  }
};

struct FloatToBrain {
  using From = float;
  using To = std::uint16_t;
  HWY_INLINE void operator()(const float* from, std::uint16_t* to) const {
    const auto bits = words_of(hn::LoadU(FloatTag(), from));
    const auto high = hn::ShiftRight<16>(bits);
    const auto odd = hn::And(high, word(1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, word(0x7FFFu)), odd));
    const auto is_nan = below(word(0x7F800000u), hn::And(bits, word(0x7FFFFFFFu)));
    const auto result = choose(is_nan, hn::Or(high, word(0x0040u)), rounded);
    hn::StoreU(hn::DemoteTo(HalfTag(), hn::BitCast(IntTag(), result)), HalfTag(), to);
  }
};

struct BrainToFloat {
  using From = std::uint16_t;
  using To = float;
  HWY_INLINE void operator()(const std::uint16_t* from, float* to) const {
    const auto bits = hn::PromoteTo(WordTag(), hn::LoadU(HalfTag(), from));
    hn::StoreU(floats_of(hn::ShiftLeft<16>(bits)), FloatTag(), to);
  }
};

struct ByteToFloat {
  using From = std::uint8_t;
  using To = float;
  HWY_INLINE void operator()(const std::uint8_t* from, float* to) const {
    const auto values = hn::PromoteTo(IntTag(), hn::LoadU(ByteTag(), from));
    hn::StoreU(hn::ConvertTo(FloatTag(), values), FloatTag(), to);
  }
};

struct FloatToByte {
  using From = float;
  using To = std::uint8_t;
  HWY_INLINE void operator()(const float* from, std::uint8_t* to) const {
    const FloatTag d;
    const auto x = hn::LoadU(d, from);
    const auto number = hn::IfThenElseZero(hn::Eq(x, x), x);
    const auto bounded = hn::Min(hn::Max(number, hn::Zero(d)), hn::Set(d, 255.0f));
    hn::StoreU(hn::DemoteTo(ByteTag(), hn::NearestInt(bounded)), ByteTag(), to);
  }
};

struct IntToFloat {
  using From = std::int32_t;
  using To = float;
  HWY_INLINE void operator()(const std::int32_t* from, float* to) const {
    hn::StoreU(hn::ConvertTo(FloatTag(), hn::LoadU(IntTag(), from)), FloatTag(), to);
  }
};

struct FloatToInt {
  using From = float;
  using To = std::int32_t;
  HWY_INLINE void operator()(const float* from, std::int32_t* to) const {
    const FloatTag d;
    const IntTag ints;
    const auto x = hn::LoadU(d, from);
    const auto number = hn::IfThenElseZero(hn::Eq(x, x), x);
    const auto limit = hn::Set(d, 2147483648.0f);
    const auto too_large = hn::Ge(number, limit);
    const auto bounded = hn::IfThenElseZero(hn::Not(too_large), hn::Max(number, hn::Neg(limit)));
    const auto rounded = hn::NearestInt(bounded);
    hn::StoreU(hn::IfThenElse(hn::RebindMask(ints, too_large), hn::Set(ints, 2147483647), rounded), ints, to);
  }
};

template <class Conversion>
HWY_INLINE void convert(const void* x, void* y, std::size_t count) {
  const auto* from = static_cast<const typename Conversion::From*>(x);
  auto* to = static_cast<typename Conversion::To*>(y);
  const Conversion conversion;
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) conversion(from + i, to + i);
  if (i == count) return;
  typename Conversion::From last_from[kFloatLanes] = {};
  typename Conversion::To last_to[kFloatLanes];
  std::memcpy(last_from, from + i, (count - i) * sizeof last_from[0]);
  conversion(last_from, last_to);
  std::memcpy(to + i, last_to, (count - i) * sizeof last_to[0]);
}

void float_to_half(const void* x, void* y, std::size_t count) { convert<FloatToHalf>(x, y, count); }
void half_to_float(const void* x, void* y, std::size_t count) { convert<HalfToFloat>(x, y, count); }
void float_to_brain(const void* x, void* y, std::size_t count) { convert<FloatToBrain>(x, y, count); }
void brain_to_float(const void* x, void* y, std::size_t count) { convert<BrainToFloat>(x, y, count); }
void float_to_byte(const void* x, void* y, std::size_t count) { convert<FloatToByte>(x, y, count); }
void byte_to_float(const void* x, void* y, std::size_t count) { convert<ByteToFloat>(x, y, count); }
void float_to_int(const void* x, void* y, std::size_t count) { convert<FloatToInt>(x, y, count); }
void int_to_float(const void* x, void* y, std::size_t count) { convert<IntToFloat>(x, y, count); }

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(float_to_half);
HWY_EXPORT(half_to_float);
HWY_EXPORT(float_to_brain);
HWY_EXPORT(brain_to_float);
HWY_EXPORT(float_to_byte);
HWY_EXPORT(byte_to_float);
HWY_EXPORT(float_to_int);
HWY_EXPORT(int_to_float);

using Conversion = void (*)(const void* x, void* y, std::size_t count);

Conversion from_float(DType to) {
  switch (to) {
    case DType::f16:
      return HWY_DYNAMIC_DISPATCH(float_to_half);
    case DType::bf16:
      return HWY_DYNAMIC_DISPATCH(float_to_brain);
    case DType::u8:
      return HWY_DYNAMIC_DISPATCH(float_to_byte);
    case DType::i32:
      return HWY_DYNAMIC_DISPATCH(float_to_int);
    default:
      return nullptr;
  }
}

Conversion to_float32(DType from) {
  switch (from) {
    case DType::f16:
      return HWY_DYNAMIC_DISPATCH(half_to_float);
    case DType::bf16:
      return HWY_DYNAMIC_DISPATCH(brain_to_float);
    case DType::u8:
      return HWY_DYNAMIC_DISPATCH(byte_to_float);
    case DType::i32:
      return HWY_DYNAMIC_DISPATCH(int_to_float);
    default:
      return nullptr;
  }
}

// Null for pairs of types that have no fast conversion.
Conversion conversion_of(const Cast& args) {
  if (args.from == DType::f32) return from_float(args.to);
  return args.to == DType::f32 ? to_float32(args.from) : nullptr;
}

Status run_cast(const Cast& args, const Launch& launch) {
  const Conversion conversion = conversion_of(args);
  const auto* x = static_cast<const unsigned char*>(args.x);
  auto* y = static_cast<unsigned char*>(args.y);
  const auto from_size = static_cast<std::int64_t>(size_of(args.from));
  const auto to_size = static_cast<std::int64_t>(size_of(args.to));
  run_pieces(pool_of(*launch.stream), args.count, kPiece, [&](std::int64_t begin, std::int64_t end) {
    conversion(x + begin * from_size, y + begin * to_size, static_cast<std::size_t>(end - begin));
  });
  return nullptr;
}

}  // namespace

void add_cast_kernels(KernelTable& table) {
  table.cast.add(
      {"cast_f32", [](const Cast& args) { return conversion_of(args) != nullptr; }, nullptr, run_cast});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
