// Products that were measured to be faster when cut otherwise than by the rules of ProductCutter, chip by
// chip.
#pragma once

#include <algorithm>

#include "kernels/cuda/product_cut.h"

namespace pila::kernels::cuda {

// What a product is but for its size.
struct ProductKind {
  int architecture = 0;  // 90 is compute capability 9.0
  int bytes = 0;         // of a factor's number
  bool transpose_a = false, transpose_b = false;

  bool operator==(const ProductKind& other) const {
    return architecture == other.architecture && bytes == other.bytes && transpose_a == other.transpose_a &&
           transpose_b == other.transpose_b;
  }
};

struct TunedCut {
  ProductKind kind;
  ProductSize size;
  ProductTile tile;
  std::int64_t parts;
};

// By what factor two sizes differ in all.
inline double difference(const ProductSize& a, const ProductSize& b) {
  const auto ratio = [](std::int64_t x, std::int64_t y) {
    return static_cast<double>(std::max(x, y)) /
           static_cast<double>(std::max<std::int64_t>(1, std::min(x, y)));
  };
  return ratio(a.m, b.m) * ratio(a.n, b.n) * ratio(a.k, b.k);
}

// What was measured for the product most like this one; null where none is alike.
template <class Table>
const TunedCut* find_tuned(const Table& table, const ProductKind& kind, const ProductSize& size) {
  constexpr double kAlike = 1.5;
  const TunedCut* best = nullptr;
  for (const TunedCut& cut : table) {
    if (!(cut.kind == kind) || difference(cut.size, size) > kAlike) continue;
    if (best == nullptr || difference(cut.size, size) < difference(best->size, size)) best = &cut;
  }
  return best;
}

// Written by pila-profile --tune. The first row is none, as C++ knows no empty arrays.
constexpr TunedCut kTunedCuts[] = {
    {{}, {}, ProductTile::small, 1},
#include "kernels/cuda/tuned_cuts.inc"
};

}  // namespace pila::kernels::cuda
