// Counter-based random numbers, the same on every device: Philox4x32-10 (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011).
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define PILA_HOST_DEVICE __host__ __device__
#else
#define PILA_HOST_DEVICE
#endif

namespace pila::kernels {

struct Philox4 {
  std::uint32_t word[4];
};

// Four random words for a 128-bit counter under a 64-bit key.
PILA_HOST_DEVICE inline Philox4 philox(Philox4 counter, std::uint64_t key) {
  std::uint32_t key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = 0xD2511F53ull * counter.word[0];
    const std::uint64_t product1 = 0xCD9E8D57ull * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// A word as a float in [0, 1): its upper 24 bits.
PILA_HOST_DEVICE inline float uniform(std::uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

// The four draws 4 * block .. 4 * block + 3 of place `place` at step `step`: every random number in Pila is
// found by (seed, step, place, index), so that no order of work changes it.
PILA_HOST_DEVICE inline Philox4 random_block(std::uint64_t seed, std::int64_t step, std::uint32_t place,
                                             std::uint32_t block) {
  const auto bits = static_cast<std::uint64_t>(step);
  return philox({{block, place, static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32)}},
                seed);
}

}  // namespace pila::kernels
