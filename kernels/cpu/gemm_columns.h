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
  kernels.pack(from, row_size, depth, real, width, packed, width);
  return {packed, width};
}

// For each group g: c[i, g * n + j] = epilogue(sum over p of a[g, p, i] * b[p, g * n + j]).
struct ColumnProblem {
  std::int64_t m = 0, n = 0, k = 0;  // n: columns of one group
  std::int64_t groups = 1;
  const float* a = nullptr;  // [k, m] where a lies as stored, to be fetched ahead of its use; else null
  const float* b = nullptr;  // [k, groups * n], or [n, k] when transpose_b (one group)
  bool transpose_b = false;
  float* c = nullptr;  // [m, groups * n]
  Epilogue epilogue;
};

class ColumnProduct {
 public:
  static constexpr std::int64_t kRowTiles = 16;  // in a block
  static constexpr std::int64_t kBlock = 128;    // values of k whose part of a and b the caches hold

  // Blocks of c depend on the number of threads, but no sum does.
  ColumnProduct(const ColumnProblem& problem, int threads)
      : problem_(problem),
        kernels_(tile_kernels()),
        tile_rows_(kernels_.even_rows(std::max<std::int64_t>(1, problem.m))),
        width_(2 * kernels_.lanes),
        chunks_(problem.k, chunk_limit(), 1),
        rows_(problem.m, kRowTiles * tile_rows_, tile_rows_),
        columns_(problem.n, kPanels * width_, width_) {
    const std::int64_t wanted = threads > 1 ? kTasksPerThread * threads : 1;
    while (problem.groups * std::max<std::int64_t>(chunks_.count, 1) * rows_.count * columns_.count <
               wanted &&
           (rows_.size > tile_rows_ || columns_.size > width_)) {
      if (rows_.size > columns_.size || columns_.size <= width_) {
        rows_ = Blocks(problem.m, ceil_div(rows_.size, 2), tile_rows_);
      } else {
        columns_ = Blocks(problem.n, ceil_div(columns_.size, 2), width_);
      }
    }
  }

  int tile_rows() const { return tile_rows_; }
  // Panels of a block: how often each packed number of a is read.
  std::int64_t reuse() const { return ceil_div(columns_.size, width_); }
  std::int64_t block_rows() const { return rows_.size; }

  // Lays out the scratch memory: all chunks' sums and a worker's packed part of b.
  void take(Scratch& scratch, int threads) {
    parts_ = scratch.take<float>(chunks_.count > 1 ? chunks_.count * result_size() : 0);
    packed_b_ = scratch.take<float>(columns_.size * kBlock * threads);
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
      const Part part{index / blocks / chunks,
                      chunk,
                      rows_.begin(block % rows_.count),
                      rows_.end(block % rows_.count),
                      columns_.begin(block / rows_.count),
                      columns_.end(block / rows_.count),
                      worker};
      multiply(source, part);
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
  static constexpr std::int64_t kPanels = 16;  // in a block
  static constexpr std::int64_t kTasksPerThread = 3;
  static constexpr std::int64_t kMaxChunks = 32;
  static constexpr std::int64_t kMinChunk = 512;       // values of k that are worth a task
  static constexpr std::int64_t kPartsSize = 1 << 18;  // numbers that all chunks' sums may take

  // One task: some of k for a block of rows and columns of one group.
  struct Part {
    std::int64_t group, chunk, row, row_end, column, column_end;
    int worker;
  };

  // The next block's rows of a and b, a strip of one line's width for each tile of this one.
  class Strips {
   public:
    Strips(const ColumnProduct& product, const Part& part, std::int64_t p) {
      const ColumnProblem& problem = product.problem_;
      if (problem.a != nullptr) add(problem.a + p * problem.m, problem.m, part.row, part.row_end);
      if (problem.transpose_b) return;
      const std::int64_t column = part.group * problem.n;
      add(problem.b + p * product.row_size(), product.row_size(), column + part.column,
          column + part.column_end);
    }

    void next(TileOutput& out) {
      if (matrix_ == count_) {
        out.ahead_step = 0;
        return;
      }
      out.ahead = matrices_[matrix_].data + column_;
      out.ahead_step = matrices_[matrix_].stride;
      column_ += kLine;
      if (column_ >= ends_[matrix_] && ++matrix_ < count_) column_ = begins_[matrix_];
    }

   private:
    static constexpr std::int64_t kLine = 16;

    void add(const float* rows, std::int64_t stride, std::int64_t begin, std::int64_t end) {
      matrices_[count_] = {rows, stride};
      begins_[count_] = begin;
      ends_[count_] = end;
      ++count_;
      column_ = begins_[0];
    }

    RowsView matrices_[2];
    std::int64_t begins_[2] = {}, ends_[2] = {};
    int count_ = 0, matrix_ = 0;
    std::int64_t column_ = 0;
  };

  std::int64_t row_size() const { return problem_.groups * problem_.n; }
  std::int64_t result_size() const { return problem_.m * row_size(); }
  int columns_from(std::int64_t j) const {
    return static_cast<int>(std::min<std::int64_t>(width_, problem_.n - j));
  }

  // Many chunks where c is small, one where c alone gives every thread enough to do. An epilogue wants the
  // whole sum at once.
  std::int64_t chunk_limit() const {
    const Epilogue& epilogue = problem_.epilogue;
    if (epilogue.bias != nullptr || epilogue.residual != nullptr || epilogue.activation != Activation::none) {
      return problem_.k;
    }
    const std::int64_t chunks =
        std::clamp<std::int64_t>(kPartsSize / std::max<std::int64_t>(1, result_size()), 1, kMaxChunks);
    return std::max(kMinChunk, ceil_div(problem_.k, chunks));
  }

  template <class Source>
  void multiply(const Source& source, const Part& part) const {
    const std::int64_t begin = chunks_.begin(part.chunk), end = chunks_.end(part.chunk);
    float* c = chunks_.count > 1 ? parts_ + part.chunk * result_size() : problem_.c;
    RowsView a[kRowTiles], b[kPanels];
    std::int64_t p = begin;
    do {
      const std::int64_t depth = std::min(kBlock, end - p);
      source.views(part.group, part.row, part.row_end, p, depth, part.worker, a);
      views_of_b(part, p, depth, b);
      Strips ahead(*this, part, p + depth);
      for (std::int64_t j = part.column; j < part.column_end; j += width_) {
        const std::int64_t column = part.group * problem_.n + j;
        TileOutput out;
        out.c = c + column;
        out.columns = columns_from(j);
        out.accumulate = p > begin;
        if (p + depth == end) {
          out.bias = at(problem_.epilogue.bias, column);
          out.residual = at(problem_.epilogue.residual, column);
          out.activation = problem_.epilogue.activation;
        }
        multiply_panel(part, a, b[(j - part.column) / width_], depth, ahead, out);
      }
      p += depth;
    } while (p < end);
  }

  // A panel that many tiles read is worth a copy, which fills the first cache evenly.
  void views_of_b(const Part& part, std::int64_t p, std::int64_t depth, RowsView* to) const {
    const bool copy = part.row_end - part.row > 4 * tile_rows_;
    float* packed = packed_b_ + part.worker * columns_.size * kBlock;
    for (std::int64_t j = part.column; j < part.column_end; j += width_, packed += width_ * kBlock) {
      const std::int64_t column = part.group * problem_.n + j;
      if (problem_.transpose_b) {
        kernels_.pack_transposed(problem_.b + column * problem_.k + p, problem_.k, depth, columns_from(j),
                                 width_, packed);
        *to++ = {packed, width_};
      } else {
        const int width = static_cast<int>(round_up(columns_from(j), kernels_.lanes));
        *to++ = slice_rows(kernels_, problem_.b, problem_.k, row_size(), p, depth, column, columns_from(j),
                           width, copy, packed);
      }
    }
  }

  void multiply_panel(const Part& part, const RowsView* a, const RowsView& b, std::int64_t depth,
                      Strips& ahead, TileOutput& out) const {
    const int vectors = (out.columns + kernels_.lanes - 1) / kernels_.lanes;
    for (std::int64_t row = part.row; row < part.row_end; row += tile_rows_, ++a) {
      out.rows = static_cast<int>(std::min<std::int64_t>(tile_rows_, part.row_end - row));
      std::int64_t offsets[kMaxTileRows];
      for (int r = 0; r < out.rows; ++r) offsets[r] = (row + r) * row_size();
      out.offsets = offsets;
      ahead.next(out);
      kernels_.column_kernel(out.rows, vectors)(a->data, a->stride, depth, b.data, b.stride, out);
    }
  }

  static const float* at(const void* data, std::int64_t column) {
    return data == nullptr ? nullptr : static_cast<const float*>(data) + column;
  }

  const ColumnProblem problem_;
  const TileKernels& kernels_;
  const int tile_rows_, width_;
  const Blocks chunks_;
  Blocks rows_, columns_;
  float* parts_ = nullptr;
  float* packed_b_ = nullptr;
};

}  // namespace pila::kernels::cpu
