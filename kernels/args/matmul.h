// The matrix product: dense layers and, in NHWC, pointwise convolutions.
#pragma once

#include "kernels/args/types.h"

namespace pila::kernels {

// c = epilogue(op(a) * op(b)); all row-major without gaps.
// op(a): [m, k], stored [k, m] when transpose_a; op(b): [k, n], stored [n, k] when transpose_b; c: [m, n];
// the epilogue's bias has n elements.
struct Matmul {
  DType type = DType::f32;
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
  Epilogue epilogue;
};

}  // namespace pila::kernels
