// Products of small matrices of 16-bit numbers by a warp's tensor core, and how their factors get there.
//
// Fragments are what each lane holds of a matrix: with group = lane / 4 and pair = 2 * (lane % 4), rows or
// columns `group` and `group + 8`, and columns or rows `pair`, `pair + 1` and those plus 8. All lanes of the
// warp take part.
#pragma once

#include <type_traits>

#include "kernels/args/half.h"
#include "kernels/cuda/device/copy_async.cuh"
#include "kernels/cuda/device/cuda.cuh"

namespace pila::kernels::cuda {

// 16 rows x 16: (group, pair), (group + 8, pair), (group, pair + 8), (group + 8, pair + 8), two numbers each.
struct FragmentA {
  unsigned part[4];
};

// 16 x 8 columns: (pair, group), (pair + 8, group), two numbers each, one below the other.
struct FragmentB {
  unsigned part[2];
};

// 16 rows x 8 sums: (group, pair), (group, pair + 1), (group + 8, pair), (group + 8, pair + 1).
struct Sums {
  float value[4];
};

// sums += a * b, of Float16 or BFloat16.
template <class T>
__device__ inline void multiply_add(Sums& sums, const FragmentA& a, const FragmentB& b) {
  static_assert(std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>);
#if defined(__CUDACC__)
  float* s = sums.value;
  if constexpr (std::is_same_v<T, Float16>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
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
