// The shape of a broadcast operation with as few axes as it needs.
#pragma once

#include <cstdint>

#include "kernels/args/elementwise.h"

namespace pila::kernels::cpu {

// y is dense of this shape; strides of a and b are in elements.
struct Broadcast {
  int rank = 1;
  std::int64_t shape[kMaxRank] = {1};
  std::int64_t a_strides[kMaxRank] = {};
  std::int64_t b_strides[kMaxRank] = {};

  std::int64_t row() const { return shape[rank - 1]; }
  std::int64_t count() const {
    std::int64_t product = 1;
    for (int axis = 0; axis < rank; ++axis) product *= shape[axis];
    return product;
  }
};

// Leaves out axes of one element and joins neighbours that both operands walk as one: the same shape becomes
// one axis, a channel's number over an image two, a number for each sample and channel three.
inline Broadcast collapse(const Binary& args) {
  Broadcast result;
  result.rank = 0;
  for (int axis = 0; axis < args.rank; ++axis) {
    const std::int64_t size = args.shape[axis];
    if (size == 1) continue;
    const int last = result.rank - 1;
    if (last >= 0 && result.a_strides[last] == args.a_strides[axis] * size &&
        result.b_strides[last] == args.b_strides[axis] * size) {
      result.shape[last] *= size;
      result.a_strides[last] = args.a_strides[axis];
      result.b_strides[last] = args.b_strides[axis];
      continue;
    }
    result.shape[result.rank] = size;
    result.a_strides[result.rank] = args.a_strides[axis];
    result.b_strides[result.rank] = args.b_strides[axis];
    ++result.rank;
  }
  if (result.rank == 0) {
    result.rank = 1;
    result.shape[0] = 1;
  }
  return result;
}

}  // namespace pila::kernels::cpu
