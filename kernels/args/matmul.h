// The matrix product: dense layers and, in NHWC, pointwise convolutions.
#pragma once

#include "kernels/args/precision.h"
#include "kernels/args/types.h"

namespace pila::kernels {

// Only the factors of products are rounded: sums, bias and residual stay `type`.

// c = epilogue(op(a) * op(b)); all row-major without gaps.
// op(a): [m, k], stored [k, m] when transpose_a; op(b): [k, n], stored [n, k] when transpose_b; c: [m, n];
// the epilogue's bias has n elements. Weights: b and the bias.
struct Matmul {
  DType type = DType::f32;
  Rounding rounding = {};
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
  Prologue prologue = {};  // of a, whose channels are its last axis as stored
  Epilogue epilogue;
};

// All gradients of c = activation(prologue(a) b + bias), none of the matrices transposed, in one pass over
// its rows: with g = dc times the activation's slope, da = g b^T, db = prologue(a)^T g, and dbias the sums of
// g's columns. da is the gradient of what the prologue gave. The slope follows from c, so that the activation
// is none, relu, relu6 or sigmoid. g is rounded to `type` where it is multiplied.
struct MatmulGradients {
  DType type = DType::f32;
  Precision rounding = Precision::f32;  // of g, a and b, where type is f32: f32 or tf32
  std::int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;  // [m, k]
  const void* b = nullptr;  // [k, n]
  const void* c = nullptr;  // [m, n]; null where the activation is none
  const void* dc = nullptr;
  Prologue prologue = {};  // of a
  Activation activation = Activation::none;
  void* da = nullptr;     // [m, k]
  void* db = nullptr;     // [k, n]
  void* dbias = nullptr;  // [n] of channel_type(), or null
};

// The mean over the rows of each image of activation(a * b + bias): a pointwise convolution and the global
// average pooling behind it. a: [batch, rows, k]; b: [k, n]; c: [batch, n]. Weights: b and the bias.
struct PooledMatmul {
  DType type = DType::f32;
  Rounding rounding = {};
  std::int64_t batch = 0, rows = 0, n = 0, k = 0;
  const void* a = nullptr;
  const void* b = nullptr;
  const void* bias = nullptr;  // [n] of channel_type(), or null
  Activation activation = Activation::none;
  void* c = nullptr;
};

}  // namespace pila::kernels
