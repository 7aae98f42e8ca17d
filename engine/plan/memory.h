// Where the values of a plan lie in one block of memory.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace pila {

// Bytes rounded up to where the next piece of memory may begin.
constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// A value that is made in step `first` and read last in step `last`.
struct Lifetime {
  std::size_t bytes = 0;
  std::size_t first = 0, last = 0;
};

struct MemoryLayout {
  std::vector<std::size_t> offsets;  // by value, multiples of 64
  std::size_t bytes = 0;             // of the whole block
};

// Places values so that those alive in one step do not overlap: the largest first, each at the lowest place
// that is free.
MemoryLayout plan_memory(std::span<const Lifetime> values);

}  // namespace pila
