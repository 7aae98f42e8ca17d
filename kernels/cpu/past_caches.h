// When to write past the caches.
#pragma once

#include <cstdint>

namespace pila::kernels::cpu {

// Whether an output is larger than what a core's share of the caches keeps until its reader comes, so that
// fetching its lines before overwriting them would be for nothing. `row`: elements from one row to the next;
// all vectors written must begin at a multiple of their size from the row's start.
inline bool goes_past_caches(const float* y, std::int64_t count, std::int64_t row) {
  constexpr std::int64_t kKept = 2 << 20;  // elements
  constexpr int kLine = 64;                // bytes, no less than a vector
  return count >= kKept && reinterpret_cast<std::uintptr_t>(y) % kLine == 0 &&
         row * static_cast<std::int64_t>(sizeof(float)) % kLine == 0;
}

}  // namespace pila::kernels::cpu
