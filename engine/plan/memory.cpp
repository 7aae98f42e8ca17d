#include "engine/plan/memory.h"

#include <algorithm>
#include <numeric>

namespace pila {
namespace {

bool overlap(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

MemoryLayout plan_memory(std::span<const Lifetime> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t i) { return values[i].bytes; });

  MemoryLayout layout{std::vector<std::size_t>(values.size()), 0};
  std::vector<std::size_t> placed;  // by offset
  const auto offset_of = [&](std::size_t i) { return layout.offsets[i]; };
  for (const std::size_t i : order) {
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      if (!overlap(values[i], values[other])) continue;
      if (offset + values[i].bytes <= layout.offsets[other]) break;
      const std::size_t end = layout.offsets[other] + values[other].bytes;
      offset = std::max(offset, aligned(end));
    }
    layout.offsets[i] = offset;
    layout.bytes = std::max(layout.bytes, offset + values[i].bytes);
    placed.insert(std::ranges::upper_bound(placed, offset, {}, offset_of), i);
  }
  return layout;
}

}  // namespace pila
