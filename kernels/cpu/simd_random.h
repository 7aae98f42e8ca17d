// The draws of kernels/random.h, a vector of blocks at a time; included like simd.h.

#if defined(PILA_KERNELS_CPU_SIMD_RANDOM_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_SIMD_RANDOM_H_
#undef PILA_KERNELS_CPU_SIMD_RANDOM_H_
#else
#define PILA_KERNELS_CPU_SIMD_RANDOM_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

using WordTag = hn::RebindToUnsigned<FloatTag>;
using WordVector = hn::Vec<WordTag>;

// What all blocks of a stream share.
struct RandomStream {
  std::uint64_t seed, step;
  std::uint32_t place;
};

// The rounds for the blocks in the even lanes, whose products fill the lanes behind them too: the odd lanes
// hold anything.
HWY_INLINE void random_even_blocks(const RandomStream& stream, WordVector blocks, WordVector words[4]) {
  const WordTag d;
  const auto multiplier0 = hn::Set(d, 0xD2511F53u), multiplier1 = hn::Set(d, 0xCD9E8D57u);
  words[0] = blocks;
  words[1] = hn::Set(d, stream.place);
  words[2] = hn::Set(d, static_cast<std::uint32_t>(stream.step));
  words[3] = hn::Set(d, static_cast<std::uint32_t>(stream.step >> 32));
  auto key0 = static_cast<std::uint32_t>(stream.seed), key1 = static_cast<std::uint32_t>(stream.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const auto product0 = hn::BitCast(d, hn::MulEven(words[0], multiplier0));
    const auto product1 = hn::BitCast(d, hn::MulEven(words[2], multiplier1));
    words[0] = hn::Xor(hn::Xor(hn::Shuffle2301(product1), words[1]), hn::Set(d, key0));
    words[2] = hn::Xor(hn::Xor(hn::Shuffle2301(product0), words[3]), hn::Set(d, key1));
    words[1] = product1;
    words[3] = product0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

// random_block() for as many blocks as there are lanes.
HWY_INLINE void random_blocks(const RandomStream& stream, WordVector blocks, WordVector words[4]) {
  WordVector odd[4];
  random_even_blocks(stream, blocks, words);
  random_even_blocks(stream, hn::Shuffle2301(blocks), odd);
  for (int i = 0; i < 4; ++i) words[i] = hn::OddEven(hn::Shuffle2301(odd[i]), words[i]);
}

// values * scale where a draw is kept, else 0. Kept are words whose upper 24 bits, the part that uniform()
// reads, are at least `threshold`.
HWY_INLINE FloatVector keep(WordVector words, std::int32_t threshold, FloatVector scale, FloatVector values) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> signed_tag;
  const auto draws = hn::BitCast(signed_tag, hn::ShiftRight<8>(words));
  const auto kept = hn::Gt(draws, hn::Set(signed_tag, threshold - 1));
  return hn::IfThenElseZero(hn::RebindMask(d, kept), hn::Mul(values, scale));
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
