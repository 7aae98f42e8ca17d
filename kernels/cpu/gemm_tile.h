// The innermost part of matrix products and convolutions: tiles of a few rows by a few vectors of columns,
// summed in registers.
//
// Every tile sums over k in the same order, whatever its size, so results do not depend on the tiling.
#pragma once

#include <cstdint>

#include "kernels/args/types.h"

namespace pila::kernels::cpu {

constexpr int kMaxTileRows = 14;

// Where a tile's sums go. Only `rows` by `columns` of them are real and stored.
struct TileOutput {
  float* c = nullptr;                     // column 0 of the tile, before a row's offset is added
  const std::int64_t* offsets = nullptr;  // [rows] in elements
  int rows = 0, columns = 0;
  bool accumulate = false;          // c holds the sums over earlier k
  const float* bias = nullptr;      // [columns], or null
  const float* residual = nullptr;  // laid out as c, or null
  Activation activation = Activation::none;
  bool streamed = false;  // whole vectors go past the caches: c is larger than those and vectors are aligned
  // What will be read after this tile: a cache line is fetched at each value of k, `ahead_step` elements
  // apart. Need not be readable.
  const float* ahead = nullptr;
  std::int64_t ahead_step = 0;
};

// Sums over `taps` times `depth` values of k. For each tap, `rows` holds one pointer to `depth` numbers of
// op(a) for each of the kernel's rows, those that are not real included. `b` holds one row for each k, in the
// same order, `b_stride` elements apart, of as many columns as the kernel has: readable beyond `columns`.
using RowTileKernel = void (*)(const float* const* rows, std::int64_t taps, std::int64_t depth,
                               const float* b, std::int64_t b_stride, const TileOutput& out);

// The same where the rows of op(a) lie side by side: row r of step p is a[p * a_stride + r].
using ColumnTileKernel = void (*)(const float* a, std::int64_t a_stride, std::int64_t depth, const float* b,
                                  std::int64_t b_stride, const TileOutput& out);

// The tiles of one instruction set.
struct TileKernels {
  int lanes = 0;      // float32 in a vector
  int tall_rows = 0;  // most rows of a tile of one or two vectors
  int wide_rows = 0;  // most rows of a tile of three or four vectors; 0 where there are none
  RowTileKernel row[4][kMaxTileRows / 2 + 1] = {};        // [vectors - 1][slot of rows]
  ColumnTileKernel column[2][kMaxTileRows / 2 + 1] = {};  // the same

  // Copies row p of b, p < k, to out[p * out_stride ..), with zeros from `columns` up to `width` <=
  // out_stride.
  void (*pack)(const float* b, std::int64_t b_stride, std::int64_t k, int columns, int width, float* out,
               std::int64_t out_stride) = nullptr;
  // The same for b stored transposed, column j of row p at b[j * b_stride + p], with `width` as out_stride.
  void (*pack_transposed)(const float* b, std::int64_t b_stride, std::int64_t k, int columns, int width,
                          float* out) = nullptr;
  // y[i] = the sum over s < parts of parts[s * stride + i], in that order.
  void (*sum_parts)(const float* parts, std::int64_t stride, int count, std::int64_t size,
                    float* y) = nullptr;

  // Kernels exist for 1, 2, 4, 6 ... rows: how many the one for `rows` has, and where it stands.
  static int padded_rows(int rows) { return rows == 1 ? 1 : (rows + 1) / 2 * 2; }
  static int slot(int rows) { return rows == 1 ? 0 : (rows + 1) / 2; }
  // Rows of the tiles for m > 0 rows in all: nearly the same for each, instead of tall ones and a stump.
  int even_rows(std::int64_t m) const {
    const std::int64_t tiles = (m + tall_rows - 1) / tall_rows;
    return padded_rows(static_cast<int>((m + tiles - 1) / tiles));
  }
  RowTileKernel row_kernel(int rows, int vectors) const { return row[vectors - 1][slot(rows)]; }
  ColumnTileKernel column_kernel(int rows, int vectors) const { return column[vectors - 1][slot(rows)]; }
};

// Those of the instruction set in use.
const TileKernels& tile_kernels();

}  // namespace pila::kernels::cpu
