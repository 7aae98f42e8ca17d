// What a warp's tensor core does, number by number. Fragments lie in lanes as the PTX ISA says for
// mma.m16n8k16 (TF32: m16n8k8) and ldmatrix.m8n8.
#pragma once

namespace pila::simt {

// sums (4 numbers) += a (4 pairs) * b (2 pairs) of Float16 or BFloat16, or of single TF32 numbers (T: float),
// in float32, each sum in the order of its terms. Hardware keeps no such order and may round otherwise.
template <class T>
void multiply_add(float* sums, const unsigned* a, const unsigned* b);

// The bits of a float32, of its nearest TF32.
unsigned round_to_tf32(unsigned number);

// Each lane's parts of four matrices of 8 x 8 numbers of 16 bits, whose rows the lanes' addresses are.
void load_matrices(unsigned (&part)[4], const void* row, bool transposed);

}  // namespace pila::simt
