// Products of small matrices by a warp's tensor core, and how their factors get there: of 16-bit numbers, and
// of float32 that is rounded to TF32.
//
// Fragments are what each lane holds of a matrix: with group = lane / 4 and pair = 2 * (lane % 4), rows or
// columns `group` and `group + 8`, and columns or rows `pair`, `pair + 1` and those plus 8. Of TF32 it is one
// number instead of a pair: columns or rows lane % 4 and that plus 4. All lanes of the warp take part.
#pragma once

#include <type_traits>

#include "kernels/args/half.h"
#include "kernels/cuda/device/copy_async.cuh"
#include "kernels/cuda/device/cuda.cuh"

namespace pila::kernels::cuda {

// 16 rows x 16, of TF32 x 8: (group, pair), (group + 8, pair), (group, pair + 8), (group + 8, pair + 8), two
// numbers each.
struct FragmentA {
  unsigned part[4];
};

// 16, of TF32 8, x 8 columns: (pair, group), (pair + 8, group), two numbers each, one below the other.
struct FragmentB {
  unsigned part[2];
};

// 16 rows x 8 sums: (group, pair), (group, pair + 1), (group + 8, pair), (group + 8, pair + 1).
struct Sums {
  float value[4];
};

// A float32 as TF32: to the nearest with 10 bits behind the point, ties away from zero.
__device__ inline unsigned round_to_tf32(unsigned number) {
#if defined(__CUDACC__)
  asm("cvt.rna.tf32.f32 %0, %0;" : "+r"(number));
  return number;
#else
  return simt::round_to_tf32(number);
#endif
}

// sums += a * b, of Float16, BFloat16, or float: numbers of round_to_tf32().
template <class T>
__device__ inline void multiply_add(Sums& sums, const FragmentA& a, const FragmentB& b) {
  static_assert(std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16> || std::is_same_v<T, float>);
#if defined(__CUDACC__)
  float* s = sums.value;
  if constexpr (std::is_same_v<T, Float16>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
        : "r"(a.part[0]), "r"(a.part[1]), "r"(a.part[2]), "r"(a.part[3]), "r"(b.part[0]), "r"(b.part[1]));
  } else if constexpr (std::is_same_v<T, float>) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
        : "r"(a.part[0]), "r"(a.part[1]), "r"(a.part[2]), "r"(a.part[3]), "r"(b.part[0]), "r"(b.part[1]));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
        : "r"(a.part[0]), "r"(a.part[1]), "r"(a.part[2]), "r"(a.part[3]), "r"(b.part[0]), "r"(b.part[1]));
  }
#else
  simt::multiply_add<T>(sums.value, a.part, b.part);
#endif
}

// Four 8 x 8 matrices from shared memory. Lane i gives the address of row i % 8 of matrix i / 8, 16 bytes;
// part m of the result holds, of matrix m, row lane / 4 and columns pair, pair + 1.
__device__ inline void load_matrices(unsigned (&part)[4], const void* row) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(part[0]), "=r"(part[1]), "=r"(part[2]), "=r"(part[3])
               : "r"(shared_address(row))
               : "memory");
#else
  simt::load_matrices(part, row, false);
#endif
}

// The same of their transposes: column lane / 4 and rows pair, pair + 1.
__device__ inline void load_transposed_matrices(unsigned (&part)[4], const void* row) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(part[0]), "=r"(part[1]), "=r"(part[2]), "=r"(part[3])
               : "r"(shared_address(row))
               : "memory");
#else
  simt::load_matrices(part, row, true);
#endif
}

}  // namespace pila::kernels::cuda
