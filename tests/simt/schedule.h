// How emulated threads take turns. A GPU promises none of this, so a kernel must give the same bits in all.
#pragma once

#include <array>
#include <cstdint>

namespace pila::simt {

struct Schedule {
  // Which of the threads that can go on does, whenever one has to wait: the first, the last, or any. The
  // first two take a warp as far as it gets before the next one starts. Blocks go in the same order.
  enum class Order { ascending, descending, shuffled };
  Order order = Order::ascending;
  std::uint64_t seed = 0;            // of `shuffled`
  bool late_copies = true;           // cp.async arrives when it is waited for; else at once
  unsigned char shared_fill = 0xFF;  // what every block finds in its shared memory
};

// Those that kernels are tested with. The fills are NaN, zero and a number in every floating-point type:
// whoever reads shared memory before it was written gets different results.
constexpr std::array<Schedule, 3> kSchedules = {{{Schedule::Order::ascending, 0, true, 0xFF},
                                                 {Schedule::Order::descending, 0, false, 0x00},
                                                 {Schedule::Order::shuffled, 1, true, 0x5A}}};

}  // namespace pila::simt
