// From the element types of arguments to those of C++.
#pragma once

#include "kernels/args/half.h"
#include "kernels/args/precision.h"
#include "kernels/args/types.h"
#include "kernels/kernel_table.h"

namespace pila::kernels::cuda {

// Whether CUDA's kernels compute with numbers stored so.
inline bool is_number(DType type) { return type == DType::f32 || type == DType::f16 || type == DType::bf16; }

template <class Args>
bool is_of_numbers(const Args& args) {
  return is_number(args.type);
}

template <class Args>
bool is_float32(const Args& args) {
  return args.type == DType::f32;
}

// Whether tensor cores multiply such factors: those of 16 bits, and float32 that may be rounded.
inline bool tensor_cores_multiply(DType type, Precision rounding) {
  return type == DType::f32 ? rounding == Precision::tf32
                            : (type == DType::f16 || type == DType::bf16) && rounding == Precision::f32;
}

// Whether factors that are not rounded will do.
inline bool may_stay(DType type, Precision rounding) {
  return rounding == Precision::f32 || (rounding == Precision::tf32 && type == DType::f32);
}

// Returns visit(a number of that type).
template <class Visit>
Status with_number(DType type, const Visit& visit) {
  switch (type) {
    case DType::f32:
      return visit(float());
    case DType::f16:
      return visit(Float16());
    case DType::bf16:
      return visit(BFloat16());
    default:
      return "not a type of numbers";
  }
}

}  // namespace pila::kernels::cuda
