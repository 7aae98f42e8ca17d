#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise_dropout.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/args/elementwise.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_random.h"

#ifndef PILA_KERNELS_CPU_DROPOUT_KEY_
#define PILA_KERNELS_CPU_DROPOUT_KEY_
namespace pila::kernels::cpu {

// A dropout's draws, as in kernels/random.h, and what is done with them.
struct DropoutKey {
  std::uint64_t seed;
  std::uint32_t place;
  std::uint64_t step;
  std::int64_t first;      // draw
  std::int32_t threshold;  // a draw's upper 24 bits are kept from here on
  float scale;             // of what is kept
};

}  // namespace pila::kernels::cpu
#endif  // PILA_KERNELS_CPU_DROPOUT_KEY_

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// Transposes the 4x4 words in each 128 bits: vector j gets the four words of the lanes that are j modulo 4.
HWY_INLINE void transpose_words(WordVector words[4]) {
  const WordTag d;
  const hn::RepartitionToWide<WordTag> wide;
  const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, words[0], words[1]));
  const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, words[2], words[3]));
  const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(d, words[0], words[1]));
  const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(d, words[2], words[3]));
  words[0] = hn::BitCast(d, hn::InterleaveLower(wide, low01, low23));
  words[1] = hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23));
  words[2] = hn::BitCast(d, hn::InterleaveLower(wide, high01, high23));
  words[3] = hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23));
}

// One draw for each of elements [begin, end); that of begin is a multiple of 4.
void drop_elements(const DropoutKey& key, const float* x, float* y, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const WordTag words_tag;
  constexpr std::size_t lanes = kFloatLanes;
  // Lane 4 k + j draws block j * lanes / 4 + k, so that the transposed words come in the elements' order.
  HWY_ALIGN std::uint32_t offsets[lanes];
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    offsets[lane] = static_cast<std::uint32_t>((lane % 4) * (lanes / 4) + lane / 4);
  }
  const auto lane_blocks = hn::Load(words_tag, offsets);
  const auto scale = hn::Set(d, key.scale);
  while (begin < end) {
    WordVector words[4];
    const auto first_block = hn::Set(words_tag, static_cast<std::uint32_t>((key.first + begin) / 4));
    random_blocks({key.seed, key.step, key.place}, hn::Add(first_block, lane_blocks), words);
    transpose_words(words);
    const auto rest = static_cast<std::size_t>(end - begin);
    for (std::size_t j = 0; j < 4; ++j) {
      const float* from = x + begin + j * lanes;
      float* to = y + begin + j * lanes;
      if (rest >= (j + 1) * lanes) {
        hn::StoreU(keep(words[j], key.threshold, scale, hn::LoadU(d, from)), d, to);
      } else if (rest > j * lanes) {
        const std::size_t count = rest - j * lanes;
        store_partial(keep(words[j], key.threshold, scale, load_partial(d, from, count)), d, to, count);
      }
    }
    begin += static_cast<std::int64_t>(4 * lanes);
  }
}

// y = x * factor for a group that is kept.
void scale_group(const float* x, float factor, float* y, std::size_t count) {
  const FloatTag d;
  const auto factors = hn::Set(d, factor);
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), factors), d, y + i);
  }
  if (i < count) store_partial(hn::Mul(load_partial(d, x + i, count - i), factors), d, y + i, count - i);
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cmath>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"
#include "kernels/random.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(drop_elements);
HWY_EXPORT(scale_group);

bool keeps_group(const DropoutKey& key, std::int64_t group) {
  const std::int64_t draw = key.first + group;
  const auto block = static_cast<std::uint32_t>(draw / 4);
  const Philox4 draws = random_block(key.seed, static_cast<std::int64_t>(key.step), key.place, block);
  return static_cast<std::int32_t>(draws.word[draw % 4] >> 8) >= key.threshold;
}

Status run_dropout(const Dropout& args, const Launch& launch) {
  const auto* x = static_cast<const float*>(args.x);
  auto* y = static_cast<float*>(args.y);
  const DropoutKey key{args.seed,
                       args.place,
                       static_cast<std::uint64_t>(*args.step),
                       args.first,
                       static_cast<std::int32_t>(std::ceil(args.rate * 16777216.0)),
                       static_cast<float>(1 / (1 - args.rate))};
  auto& pool = pool_of(*launch.stream);
  if (args.group == 1) {
    const auto function = HWY_DYNAMIC_DISPATCH(drop_elements);
    run_pieces(pool, args.count, kPiece, [&](std::int64_t begin, std::int64_t end) {
      for (; begin < end && (key.first + begin) % 4 != 0; ++begin) {
        y[begin] = keeps_group(key, begin) ? x[begin] * key.scale : 0;
      }
      function(key, x, y, begin, end);
    });
    return nullptr;
  }
  const auto function = HWY_DYNAMIC_DISPATCH(scale_group);
  run_pieces(pool, args.count, kPiece, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t group = begin / args.group;
      const std::int64_t stop = std::min(end, (group + 1) * args.group);
      if (keeps_group(key, group)) {
        function(x + begin, key.scale, y + begin, static_cast<std::size_t>(stop - begin));
      } else {
        std::fill(y + begin, y + stop, 0.0f);
      }
      begin = stop;
    }
  });
  return nullptr;
}

}  // namespace

void add_dropout_kernels(KernelTable& table) {
  table.dropout.add(
      {"dropout_f32", [](const Dropout& args) { return args.type == DType::f32; }, nullptr, run_dropout});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
