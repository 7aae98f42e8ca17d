// Weights are read once, from memory far from the core: while it computes on what it has, what comes next is
// brought near, a cache line at a time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pila::kernels::cpu {

// Memory that is wanted soon.
struct Ahead {
  const float* begin = nullptr;
  const float* end = nullptr;

  // What `count` of `all` equal steps, from number `first` on, shall fetch.
  Ahead share(std::int64_t first, std::int64_t count, std::int64_t all) const {
    const std::ptrdiff_t size = end - begin;
    return {begin + size * first / all, begin + size * (first + count) / all};
  }
  void fetch() {
    constexpr std::ptrdiff_t kLine = 16;
    if (begin >= end) return;
    __builtin_prefetch(begin, 0, 2);
    begin += kLine;
  }
};

}  // namespace pila::kernels::cpu
