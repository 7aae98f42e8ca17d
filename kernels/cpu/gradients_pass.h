// All gradients of a matrix product in one pass over its rows.
//
// The rows are cut into parts by the shape alone, and those into chunks. A chunk's gradient behind the
// activation is computed, and multiplied by b and by a's rows, while the caches hold it. Each part has a
// result db of its own; they are added in order, so that sums do not depend on the number of threads.
#pragma once

#include <hwy/cache_control.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/args/matmul.h"
#include "kernels/cpu/gemm_blocks.h"
#include "kernels/cpu/gemm_columns.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/gradient_rows.h"
#include "kernels/cpu/normalise.h"
#include "kernels/cpu/past_caches.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {

// Rows of a chunk: whole tiles of 14 or 6 rows, few enough for the nearest caches.
inline std::int64_t gradient_chunk(const MatmulGradients& args) {
  constexpr std::int64_t kRows = 126, kShortRow = 256;
  return args.n + args.k <= kShortRow ? 2 * kRows : kRows;
}

inline const float* at_offset(const void* data, std::int64_t offset) {
  return data == nullptr ? nullptr : static_cast<const float*>(data) + offset;
}
inline float* at_offset(float* data, std::int64_t offset) {
  return data == nullptr ? nullptr : data + offset;
}

// What gradient_rows() is told of `rows` rows from `row` on.
inline GradientRows rows_of(const MatmulGradients& args, std::int64_t row, std::int64_t rows, float* g,
                            std::int64_t g_row, double* sums) {
  return {args.activation, rows, args.n, at_offset(args.c, row * args.n), at_offset(args.dc, row * args.n), g,
          g_row,           sums};
}

// y[i] = the sum over parts of sums[part, i], in that order.
inline void add_sums(const double* sums, std::int64_t parts, std::int64_t n, float* y) {
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::int64_t part = 0; part < parts; ++part) sum += sums[part * n + i];
    y[i] = static_cast<float>(sum);
  }
}

// What the next chunk reads, fetched evenly at all steps of this one's tiles.
class NextChunk {
 public:
  // Of `all_steps` steps in total.
  explicit NextChunk(std::int64_t all_steps) : all_steps_(all_steps) {}

  void add(const float* rows, std::int64_t size) {
    if (rows == nullptr) return;
    ranges_[count_++] = {rows, size};
    size_ += size;
  }

  // Gives a tile of `steps` steps its share. A line that is fetched twice does no harm.
  void share(std::int64_t steps, TileOutput& out) {
    out.ahead_step = 0;
    if (range_ == count_) return;
    Range& range = ranges_[range_];
    out.ahead = range.begin;
    out.ahead_step = std::min(kLine, ceil_div(size_, all_steps_));
    range.begin += steps * out.ahead_step;
    range.size -= steps * out.ahead_step;
    if (range.size <= 0) ++range_;
  }

 private:
  static constexpr std::int64_t kLine = 16;
  struct Range {
    const float* begin;
    std::int64_t size;
  };
  std::int64_t all_steps_, size_ = 0;
  Range ranges_[3];
  int count_ = 0, range_ = 0;
};

class GradientsPass {
 public:
  // Whether one pass takes less time than a step at a time: it saves memory traffic where there are many
  // rows, as long as the nearest caches hold b and db. Where g is dc, that is read once instead of twice, no
  // more: too little to gain where it has few columns.
  static bool is_best(const MatmulGradients& args) {
    constexpr std::int64_t kLeastParts = 12;    // enough for a few threads to share evenly
    constexpr std::int64_t kLeastColumns = 24;  // of dc
    const bool g_is_dc = args.activation == Activation::none && args.dbias == nullptr;
    const int results = (args.da != nullptr) + (args.db != nullptr) + !g_is_dc;
    const std::int64_t weights = args.k * args.n;
    if (g_is_dc && args.n < kLeastColumns) return false;
    return results > 1 && weights > 0 && weights <= kMostWeights && part_limit(args) >= kLeastParts;
  }

  GradientsPass(const MatmulGradients& args, int threads, void* memory)
      : args_(args),
        kernels_(tile_kernels()),
        chunk_(gradient_chunk(args)),
        parts_(args.m, ceil_div(args.m, part_limit(args)), chunk_),
        wide_(kernels_.wide_rows > 0 && args.k >= 8 * kernels_.lanes && args.n <= 128),
        da_rows_(choose_da_rows()),
        da_width_(kernels_.lanes * (wide_ ? 4 : 2)),
        da_panels_(ceil_div(args.k, da_width_)),
        db_rows_(kernels_.even_rows(args.k)),
        db_width_(2 * kernels_.lanes),
        db_tiles_(ceil_div(args.k, db_rows_)),
        g_row_(round_up(args.n, kernels_.lanes)),
        a_row_(round_up(args.k, kLine)),
        has_prologue_(args.prologue.scaling != nullptr),
        streamed_(choose_streamed()) {
    take(threads, memory);
  }

  std::size_t bytes() const { return bytes_; }

  void run(ThreadPool& pool) const {
    if (args_.da != nullptr) pack_b(pool);
    pool.run(parts_.count, [&](std::int64_t part, int worker) { run_part(part, worker); });
    if (args_.dbias != nullptr) add_sums(sums_, parts_.count, args_.n, static_cast<float*>(args_.dbias));
    if (args_.db != nullptr) add_parts(pool);
  }

 private:
  static constexpr std::int64_t kLine = 16;              // numbers of a cache line
  static constexpr std::int64_t kMostWeights = 1 << 16;  // so that all parts' results db are 16 MiB at most
  static constexpr std::int64_t kMostParts = 64;         // enough for many threads to share evenly
  static constexpr std::int64_t kLeastPart = 252;        // rows that are worth a result db of their own

  // A chunk's gradient: rows of a stored matrix of `rows` rows, from `row` on.
  struct Gradient {
    const float* matrix;
    std::int64_t rows, stride, row;
  };

  // A worker's own scratch memory.
  struct Own {
    float* g;         // [chunk_, g_row_], where there is an activation
    float* a;         // the chunk's rows of a, normalised or as slices of a tile's width
    float* panel;     // of g
    RowsView* tiles;  // [db_tiles_]: where each tile's slice of a lies
  };

  static std::int64_t part_limit(const MatmulGradients& args) {
    return std::clamp<std::int64_t>(args.m / kLeastPart, 1, kMostParts);
  }

  // Where a tile has but one vector, many rows take more time for their pointers, which outnumber the
  // registers, than they save.
  int choose_da_rows() const {
    constexpr int kFewRows = 8;
    if (wide_) return kernels_.wide_rows;
    return args_.k <= kernels_.lanes ? std::min(kFewRows, kernels_.tall_rows) : kernels_.tall_rows;
  }

  bool choose_streamed() const {
    return goes_past_caches(static_cast<const float*>(args_.da), args_.m * args_.k, args_.k);
  }

  bool has_slope() const { return args_.activation != Activation::none; }

  void take(int threads, void* memory) {
    Scratch scratch(memory);
    const bool da = args_.da != nullptr, db = args_.db != nullptr;
    packed_b_ = scratch.take<float>(da ? da_panels_ * da_width_ * args_.n : 0);
    results_ = scratch.take<float>(db ? parts_.count * args_.k * args_.n : 0);
    sums_ = scratch.take<double>(args_.dbias != nullptr ? parts_.count * args_.n : 0);
    own_size_[0] = has_slope() ? chunk_ * g_row_ : 0;
    own_size_[1] = db ? chunk_ * std::max(a_row_, db_tiles_ * db_rows_) : 0;
    own_size_[2] = db ? chunk_ * db_width_ : 0;
    own_ = scratch.take<float>(threads * (own_size_[0] + own_size_[1] + own_size_[2]));
    views_ = scratch.take<RowsView>(db ? threads * db_tiles_ : 0);
    bytes_ = scratch.bytes();
  }

  Own own(int worker) const {
    float* g = own_ + worker * (own_size_[0] + own_size_[1] + own_size_[2]);
    return {g, g + own_size_[0], g + own_size_[0] + own_size_[1], views_ + worker * db_tiles_};
  }

  void pack_b(ThreadPool& pool) const {
    pool.run(da_panels_, [&](std::int64_t panel, int) {
      const std::int64_t column = panel * da_width_;
      const int columns = static_cast<int>(std::min<std::int64_t>(da_width_, args_.k - column));
      kernels_.pack_transposed(at_offset(args_.b, column * args_.n), args_.n, args_.n, columns, da_width_,
                               packed_b_ + column * args_.n);
    });
  }

  void run_part(std::int64_t part, int worker) const {
    const Own own = this->own(worker);
    const std::int64_t begin = parts_.begin(part), end = parts_.end(part);
    double* sums = args_.dbias == nullptr ? nullptr : sums_ + part * args_.n;
    if (sums != nullptr) std::fill_n(sums, args_.n, 0.0);
    for (std::int64_t row = begin; row < end; row += chunk_) {
      const std::int64_t rows = std::min(chunk_, end - row);
      if (has_slope() || sums != nullptr) gradient_rows(rows_of(args_, row, rows, own.g, g_row_, sums));
      const Gradient g = has_slope() ? Gradient{own.g, chunk_, g_row_, 0}
                                     : Gradient{at_offset(args_.dc, 0), args_.m, args_.n, row};
      NextChunk next = after(row + rows);
      if (args_.da != nullptr) multiply_da(g, row, rows, next);
      if (args_.db != nullptr) {
        multiply_db(g, row, rows, own, results_ + part * args_.k * args_.n, row > begin, next);
      }
    }
    if (streamed_) hwy::FlushStream();
  }

  NextChunk after(std::int64_t row) const {
    const std::int64_t da_steps = ceil_div(chunk_, da_rows_) * da_panels_ * args_.n;
    const std::int64_t db_steps = db_tiles_ * ceil_div(args_.n, db_width_) * chunk_;
    NextChunk next((args_.da != nullptr ? da_steps : 0) + (args_.db != nullptr ? db_steps : 0));
    const std::int64_t rows = std::min(chunk_, args_.m - row);
    if (rows <= 0) return next;
    next.add(at_offset(args_.dc, row * args_.n), rows * args_.n);
    next.add(at_offset(args_.c, row * args_.n), rows * args_.n);
    if (args_.db != nullptr) next.add(at_offset(args_.a, row * args_.k), rows * args_.k);
    return next;
  }

  // da = g b^T.
  void multiply_da(const Gradient& g, std::int64_t row, std::int64_t rows, NextChunk& next) const {
    const float* pointers[kMaxTileRows];
    std::int64_t offsets[kMaxTileRows];
    TileOutput out;
    out.offsets = offsets;
    out.streamed = streamed_;
    for (std::int64_t r0 = 0; r0 < rows; r0 += da_rows_) {
      out.rows = static_cast<int>(std::min<std::int64_t>(da_rows_, rows - r0));
      for (int r = 0; r < TileKernels::padded_rows(out.rows); ++r) {
        pointers[r] = g.matrix + (g.row + r0 + std::min(r, out.rows - 1)) * g.stride;
        offsets[r] = (row + r0 + r) * args_.k;
      }
      for (std::int64_t column = 0; column < args_.k; column += da_width_) {
        out.c = static_cast<float*>(args_.da) + column;
        out.columns = static_cast<int>(std::min<std::int64_t>(da_width_, args_.k - column));
        next.share(args_.n, out);
        kernels_.row_kernel(out.rows, vectors(out.columns))(pointers, 1, args_.n,
                                                            packed_b_ + column * args_.n, da_width_, out);
      }
    }
  }

  // db = a^T g, or db += that.
  void multiply_db(const Gradient& g, std::int64_t row, std::int64_t rows, const Own& own, float* db,
                   bool accumulate, NextChunk& next) const {
    slice_a(row, rows, own);
    const bool copy = db_tiles_ > 4;  // a panel that many tiles read is worth one
    TileOutput out;
    out.accumulate = accumulate;
    for (std::int64_t column = 0; column < args_.n; column += db_width_) {
      out.c = db + column;
      out.columns = static_cast<int>(std::min<std::int64_t>(db_width_, args_.n - column));
      const int width = vectors(out.columns) * kernels_.lanes;
      const RowsView panel = slice_rows(kernels_, g.matrix, g.rows, g.stride, g.row, rows, column,
                                        out.columns, width, copy, own.panel);
      for (std::int64_t tile = 0; tile < db_tiles_; ++tile) {
        multiply_tile(own.tiles[tile], tile, panel, rows, next, out);
      }
    }
  }

  void multiply_tile(const RowsView& a, std::int64_t tile, const RowsView& panel, std::int64_t depth,
                     NextChunk& next, TileOutput& out) const {
    std::int64_t offsets[kMaxTileRows];
    const std::int64_t row = tile * db_rows_;
    out.rows = static_cast<int>(std::min<std::int64_t>(db_rows_, args_.k - row));
    for (int r = 0; r < out.rows; ++r) offsets[r] = (row + r) * args_.n;
    out.offsets = offsets;
    next.share(depth, out);
    kernels_.column_kernel(out.rows, vectors(out.columns))(a.data, a.stride, depth, panel.data, panel.stride,
                                                           out);
  }

  // Where each tile's columns of a lie: in a normalised copy, in packed copies where many panels read pieces
  // of long rows, or in place.
  void slice_a(std::int64_t row, std::int64_t rows, const Own& own) const {
    if (has_prologue_) {
      RowPrologue(args_.prologue, args_.k)
          .run(at_offset(args_.a, row * args_.k), rows, 0, args_.k, own.a, a_row_);
    }
    constexpr std::int64_t kLongRow = 64;
    const bool copy = args_.n > 2 * db_width_ && args_.k > kLongRow;
    for (std::int64_t tile = 0; tile < db_tiles_; ++tile) {
      const std::int64_t column = tile * db_rows_;
      if (has_prologue_) {
        own.tiles[tile] = {own.a + column, a_row_};
      } else {
        const int real = static_cast<int>(std::min<std::int64_t>(db_rows_, args_.k - column));
        own.tiles[tile] = slice_rows(kernels_, at_offset(args_.a, 0), args_.m, args_.k, row, rows, column,
                                     real, db_rows_, copy, own.a + column * chunk_);
      }
    }
  }

  int vectors(int columns) const { return (columns + kernels_.lanes - 1) / kernels_.lanes; }

  void add_parts(ThreadPool& pool) const {
    const std::int64_t size = args_.k * args_.n;
    const Blocks pieces(size, 1 << 12, kLine);
    pool.run(pieces.count, [&](std::int64_t index, int) {
      const std::int64_t begin = pieces.begin(index);
      kernels_.sum_parts(results_ + begin, size, static_cast<int>(parts_.count), pieces.end(index) - begin,
                         static_cast<float*>(args_.db) + begin);
    });
  }

  const MatmulGradients& args_;
  const TileKernels& kernels_;
  const std::int64_t chunk_;  // rows
  const Blocks parts_;
  const bool wide_;
  const int da_rows_, da_width_;
  const std::int64_t da_panels_;
  const int db_rows_, db_width_;
  const std::int64_t db_tiles_;
  const std::int64_t g_row_, a_row_;  // from one row to the next of a worker's g and normalised a
  const bool has_prologue_, streamed_;
  float* packed_b_ = nullptr;  // b^T, by panels
  float* results_ = nullptr;   // [parts, k, n]
  double* sums_ = nullptr;     // [parts, n]
  std::int64_t own_size_[3] = {};
  float* own_ = nullptr;
  RowsView* views_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace pila::kernels::cpu
