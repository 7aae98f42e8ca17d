// Products whose sums run over the rows of both stored matrices: weight gradients.
//
// The rows, usually very many, are cut into chunks by the shape alone; each chunk's sums go to scratch memory
// and are added in order, so the result is the same at any number of threads.
#pragma once

#include <cstdint>

#include "kernels/args/types.h"
#include "kernels/cpu/gemm_blocks.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {

// Some rows of a stored matrix of `rows` rows of `row_size` numbers, `width` columns at a time, `real` of
// which are wanted: where they lie, unless that would read beyond the end of the matrix or a copy is asked
// for.
inline RowsView slice_rows(const TileKernels& kernels, const float* matrix, std::int64_t rows,
                           std::int64_t row_size, std::int64_t row, std::int64_t depth, std::int64_t column,
                           int real, int width, bool copy, float* packed) {
  const float* from = matrix + row * row_size + column;
  if (!copy && (row + depth - 1) * row_size + column + width <= rows * row_size) return {from, row_size};
  kernels.pack(from, row_size, depth, real, width, packed);
  return {packed, width};
}

// For each group g: c[i, g * n + j] = epilogue(sum over p of a[g, p, i] * b[p, g * n + j]).
struct ColumnProblem {
  std::int64_t m = 0, n = 0, k = 0;  // n: columns of one group
  std::int64_t groups = 1;
  const float* b = nullptr;  // [k, groups * n], or [n, k] when transpose_b (one group)
  bool transpose_b = false;
  float* c = nullptr;  // [m, groups * n]
  Epilogue epilogue;
};

class ColumnProduct {
 public:
  static constexpr std::int64_t kRowTiles = 8;  // in a block
  static constexpr std::int64_t kBlock = 256;   // values of k whose part of a and b the caches hold

  explicit ColumnProduct(const ColumnProblem& problem)
      : problem_(problem),
        kernels_(tile_kernels()),
        tile_rows_(even_tile_rows()),
        width_(2 * kernels_.lanes),
        rows_(problem.m, kRowTiles * tile_rows_, tile_rows_),
        columns_(problem.n, kPanels * width_, width_),
        chunks_(problem.k, chunk_limit(), 1) {}

  int tile_rows() const { return tile_rows_; }
  // Columns of one block: how often each packed number of a is read.
  std::int64_t reuse() const { return ceil_div(columns_.size, width_); }
  std::int64_t block_rows() const { return rows_.size; }

  // Lays out the scratch memory: all chunks' sums and a worker's packed part of b.
  void take(Scratch& scratch, int threads) {
    parts_ = scratch.take<float>(chunks_.count > 1 ? chunks_.count * result_size() : 0);
    packed_b_ = scratch.take<float>(width_ * kBlock * threads);
  }

  // Multiplies. source.views(group, row, end, p, depth, worker, views) hands out, for values [p, p + depth)
  // of k, depth <= kBlock, where each tile of rows of op(a) from `row` up to `end` lies; readable for all of
  // a tile.
  template <class Source>
  void run(ThreadPool& pool, const Source& source) const {
    const std::int64_t blocks = rows_.count * columns_.count;
    const std::int64_t chunks = std::max<std::int64_t>(chunks_.count, 1);
    pool.run(problem_.groups * blocks * chunks, [&](std::int64_t index, int worker) {
      const std::int64_t block = index % blocks, chunk = index / blocks % chunks;
      multiply(source, index / blocks / chunks, block % rows_.count, block / rows_.count, chunk, worker);
    });
    if (chunks_.count > 1) {
      const Blocks pieces(result_size(), 1 << 12, 16);
      pool.run(pieces.count, [&](std::int64_t index, int) {
        const std::int64_t begin = pieces.begin(index);
        kernels_.sum_parts(parts_ + begin, result_size(), static_cast<int>(chunks_.count),
                           pieces.end(index) - begin, problem_.c + begin);
      });
    }
  }

 private:
  static constexpr std::int64_t kPanels = 8;      // in a block
  static constexpr std::int64_t kTasks = 32;      // about as many as make every machine busy
  static constexpr std::int64_t kMinChunk = 512;  // values of k that are worth a task

  std::int64_t row_size() const { return problem_.groups * problem_.n; }
  std::int64_t result_size() const { return problem_.m * row_size(); }

  // Tiles of nearly the same height instead of tall ones and a stump.
  int even_tile_rows() const {
    const std::int64_t tiles = std::max<std::int64_t>(1, ceil_div(problem_.m, kernels_.tall_rows));
    return TileKernels::padded_rows(static_cast<int>(std::max<std::int64_t>(1, ceil_div(problem_.m, tiles))));
  }

  // An epilogue wants the whole sum at once, so k stays whole.
  std::int64_t chunk_limit() const {
    const Epilogue& epilogue = problem_.epilogue;
    const bool plain =
        epilogue.bias == nullptr && epilogue.residual == nullptr && epilogue.activation == Activation::none;
    const std::int64_t blocks = std::max<std::int64_t>(1, problem_.groups * rows_.count * columns_.count);
    return plain ? std::max(kMinChunk, ceil_div(problem_.k, ceil_div(kTasks, blocks))) : problem_.k;
  }

  template <class Source>
  void multiply(const Source& source, std::int64_t group, std::int64_t row_block, std::int64_t column_block,
                std::int64_t chunk, int worker) const {
    const std::int64_t begin = chunks_.begin(chunk), end = chunks_.end(chunk);
    const std::int64_t row = rows_.begin(row_block), row_end = rows_.end(row_block);
    float* c = chunks_.count > 1 ? parts_ + chunk * result_size() : problem_.c;
    RowsView a[kRowTiles];
    std::int64_t p = begin;
    do {
      const std::int64_t depth = std::min(kBlock, end - p);
      source.views(group, row, row_end, p, depth, worker, a);
      for (std::int64_t j = columns_.begin(column_block); j < columns_.end(column_block); j += width_) {
        const std::int64_t column = group * problem_.n + j;
        TileOutput out;
        out.c = c + column;
        out.columns = static_cast<int>(std::min<std::int64_t>(width_, problem_.n - j));
        out.accumulate = p > begin;
        if (p + depth == end) {
          out.bias = at(problem_.epilogue.bias, column);
          out.residual = at(problem_.epilogue.residual, column);
          out.activation = problem_.epilogue.activation;
        }
        multiply_panel(a, row, row_end, view_b(p, depth, column, out.columns, worker), depth, out);
      }
      p += depth;
    } while (p < end);
  }

  RowsView view_b(std::int64_t p, std::int64_t depth, std::int64_t column, int columns, int worker) const {
    float* packed = packed_b_ + worker * width_ * kBlock;
    if (!problem_.transpose_b) {
      const int width = static_cast<int>(round_up(columns, kernels_.lanes));
      return slice_rows(kernels_, problem_.b, problem_.k, row_size(), p, depth, column, columns, width, false,
                        packed);
    }
    kernels_.pack_transposed(problem_.b + column * problem_.k + p, problem_.k, depth, columns, width_,
                             packed);
    return {packed, width_};
  }

  void multiply_panel(const RowsView* a, std::int64_t row, std::int64_t row_end, const RowsView& b,
                      std::int64_t depth, TileOutput& out) const {
    const int vectors = (out.columns + kernels_.lanes - 1) / kernels_.lanes;
    const ColumnTileKernel kernel = kernels_.column_kernel(tile_rows_, vectors);
    for (; row < row_end; row += tile_rows_, ++a) {
      out.rows = static_cast<int>(std::min<std::int64_t>(tile_rows_, row_end - row));
      std::int64_t offsets[kMaxTileRows];
      for (int r = 0; r < out.rows; ++r) offsets[r] = (row + r) * row_size();
      out.offsets = offsets;
      kernel(a->data, a->stride, depth, b.data, b.stride, out);
    }
  }

  static const float* at(const void* data, std::int64_t column) {
    return data == nullptr ? nullptr : static_cast<const float*>(data) + column;
  }

  const ColumnProblem problem_;
  const TileKernels& kernels_;
  const int tile_rows_, width_;
  const Blocks rows_, columns_, chunks_;
  float* parts_ = nullptr;
  float* packed_b_ = nullptr;
};

}  // namespace pila::kernels::cpu
