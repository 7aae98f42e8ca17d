// Work on long index ranges, cut into pieces whose size depends on nothing but the operation.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {

// Elements of a piece where each costs little more than its memory traffic: long against the price of handing
// a piece to a thread, so that whatever fits in one is done by the caller.
constexpr std::int64_t kPiece = 16384;

constexpr std::int64_t pieces_of(std::int64_t count, std::int64_t piece) {
  return (count + piece - 1) / piece;
}

// Calls body(begin, end) for every piece of [0, count), over the pool where there is more than one.
template <class Body>
void run_pieces(ThreadPool& pool, std::int64_t count, std::int64_t piece, const Body& body) {
  if (count <= 0) return;
  if (count <= piece) {
    body(std::int64_t{0}, count);
    return;
  }
  pool.run(pieces_of(count, piece),
           [&](std::int64_t index, int) { body(index * piece, std::min(count, (index + 1) * piece)); });
}

}  // namespace pila::kernels::cpu
