// Products whose rows of op(a) are read where they lie: plain matrix products, and convolutions, where a row
// is the pixels under a window, one after the other.
#pragma once

#include <hwy/cache_control.h>

#include <cstdint>

#include "kernels/args/types.h"
#include "kernels/cpu/gemm_blocks.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {

// For each group g: c[row, g * n + j] = epilogue(sum over tap, p of a[g, row, tap, p] * b[g, tap * depth + p,
// j]).
struct RowProblem {
  std::int64_t m = 0, n = 0;  // rows, and columns of one group
  std::int64_t taps = 1, depth = 0;
  std::int64_t groups = 1;
  float* c = nullptr;
  Epilogue epilogue;

  const float* a = nullptr;  // [m, depth] where a lies as stored, to be fetched ahead of its use; else null

  // Row p of b, column j: only for one group, where `b_in_place`; else b comes packed.
  const float* b = nullptr;
  std::int64_t b_stride = 0;
  bool b_in_place = false;

  std::int64_t k() const { return taps * depth; }
};

class RowProduct {
 public:
  explicit RowProduct(const RowProblem& problem)
      : problem_(problem),
        kernels_(tile_kernels()),
        tile_rows_(choose_tile_rows()),
        width_(kernels_.lanes * (tile_rows_ == kernels_.tall_rows ? 2 : 4)),
        panels_(ceil_div(problem.n, width_)),
        first_packed_(problem.b_in_place ? problem.n / width_ : 0),
        columns_(panels_, column_limit(), 1),
        rows_(problem.m, row_limit(), tile_rows_),
        depths_(problem.depth, problem.taps == 1 ? kMaxDepth : problem.depth, 1),
        streamed_(choose_streamed()) {}

  // How many numbers pack() writes.
  std::int64_t packed_size() const { return problem_.groups * (panels_ - first_packed_) * panel_size(); }

  // Packs b by calling fill(group, first column, columns, width, out) for each panel: `out` gets k rows of
  // `width` numbers, zeros beyond `columns`.
  template <class Fill>
  void pack(float* packed, ThreadPool& pool, const Fill& fill) {
    packed_ = packed;
    const std::int64_t each = panels_ - first_packed_;
    pool.run(problem_.groups * each, [&](std::int64_t index, int) {
      const std::int64_t column = (first_packed_ + index % each) * width_;
      fill(index / each, column, columns_from(column), width_, packed + index * panel_size());
    });
  }

  // Takes what another pack() wrote for the same problem.
  void use(const float* packed) { packed_ = packed; }

  // Multiplies. source.tile(group, row, rows, padded, worker, pointers, offsets) hands out, for `rows` rows
  // from `row` on, a pointer for each tap and row, pointers[tap * padded + r], and each row's offset in c;
  // pointers of the rows from `rows` up to `padded` may point at any row. source.pointers(worker) is where
  // they go.
  template <class Source>
  void run(ThreadPool& pool, const Source& source) const {
    const std::int64_t blocks = rows_.count * columns_.count;
    pool.run(problem_.groups * blocks, [&](std::int64_t index, int worker) {
      const std::int64_t block = index % blocks;
      multiply(source, index / blocks, block % rows_.count, block / rows_.count, worker);
      if (streamed_) hwy::FlushStream();
    });
  }

 private:
  static constexpr std::int64_t kMaxDepth = 2048;         // values of k summed in registers before memory
  static constexpr std::int64_t kStreamedSize = 1 << 23;  // numbers of c that are more than caches hold
  static constexpr std::int64_t kCachedPanels = 1 << 18;  // numbers of b that stay in the second cache

  std::int64_t panel_size() const { return problem_.k() * width_; }
  int columns_from(std::int64_t column) const {
    return static_cast<int>(std::min<std::int64_t>(width_, problem_.n - column));
  }

  // Long rows of c and little to sum: a wide tile writes them in longer stretches.
  int choose_tile_rows() const {
    const bool wide = kernels_.wide_rows > 0 && problem_.n >= 8 * kernels_.lanes && problem_.k() <= 128;
    return wide ? kernels_.wide_rows : kernels_.tall_rows;
  }

  // Multiplications in a task: many tasks for many threads, none too small to be worth the hand-out.
  std::int64_t task_size() const {
    return std::clamp<std::int64_t>(problem_.groups * problem_.m * problem_.n * problem_.k() / 64, 1 << 18,
                                    1 << 22);
  }

  // Panels of one task: what the second cache holds, and fewer where there are few rows.
  std::int64_t column_limit() const {
    const std::int64_t size = std::max<std::int64_t>(1, panel_size());
    const std::int64_t cached = kCachedPanels / size;
    const std::int64_t enough = task_size() / (size * tile_rows_);
    return std::max<std::int64_t>(1, problem_.m <= 8 * tile_rows_ ? std::min(cached, enough) : cached);
  }

  std::int64_t row_limit() const {
    return task_size() / std::max<std::int64_t>(1, columns_.size * width_ * problem_.k());
  }

  RowsView panel(std::int64_t group, std::int64_t panel, std::int64_t p) const {
    if (panel < first_packed_)
      return {problem_.b + p * problem_.b_stride + panel * width_, problem_.b_stride};
    const std::int64_t index = group * (panels_ - first_packed_) + panel - first_packed_;
    return {packed_ + index * panel_size() + p * width_, width_};
  }

  template <class Source>
  void multiply(const Source& source, std::int64_t group, std::int64_t row_block, std::int64_t column_block,
                int worker) const {
    const float** pointers = source.pointers(worker);
    std::int64_t offsets[kMaxTileRows];
    TileOutput out;
    out.offsets = offsets;
    out.streamed = streamed_;
    for (std::int64_t block = 0; block < std::max<std::int64_t>(depths_.count, 1); ++block) {
      const std::int64_t p = depths_.begin(block), depth = depths_.end(block) - p;
      const bool last = block + 1 >= depths_.count;
      out.accumulate = block > 0;
      if (last) out.activation = problem_.epilogue.activation;
      for (std::int64_t row = rows_.begin(row_block); row < rows_.end(row_block); row += tile_rows_) {
        out.rows = static_cast<int>(std::min<std::int64_t>(tile_rows_, rows_.end(row_block) - row));
        const int padded = TileKernels::padded_rows(out.rows);
        source.tile(group, row, out.rows, padded, worker, pointers, offsets);
        if (p > 0) {
          for (int r = 0; r < padded; ++r) pointers[r] += p;
        }
        for (std::int64_t j = columns_.begin(column_block); j < columns_.end(column_block); ++j) {
          const std::int64_t column = group * problem_.n + j * width_;
          out.columns = columns_from(j * width_);
          out.c = problem_.c + column;
          if (last) {
            out.bias = at(problem_.epilogue.bias, column);
            out.residual = at(problem_.epilogue.residual, column);
          }
          const int vectors = (out.columns + kernels_.lanes - 1) / kernels_.lanes;
          const RowsView b = panel(group, j, p);
          fetch_ahead(row, j - columns_.begin(column_block), out);
          kernels_.row_kernel(out.rows, vectors)(pointers, problem_.taps, depth, b.data, b.stride, out);
        }
      }
    }
  }

  // Where a tile's products are few for each number of a, memory sets the pace: a later tile's rows are
  // fetched while this one is at work.
  void fetch_ahead(std::int64_t row, std::int64_t panel, TileOutput& out) const {
    constexpr std::int64_t kTiles = 4, kLine = 16;
    const bool wanted = problem_.a != nullptr && problem_.n <= 16 * kernels_.lanes && panel == 0;
    out.ahead = wanted ? problem_.a + (row + kTiles * tile_rows_) * problem_.depth : nullptr;
    out.ahead_step = wanted ? kLine : 0;
  }

  // Results that no cache will hold go past the caches where they fill whole vectors and need no second look.
  bool choose_streamed() const {
    const Activation activation = problem_.epilogue.activation;
    if (activation == Activation::silu || activation == Activation::sigmoid) return false;
    const std::int64_t size = problem_.m * problem_.n * problem_.groups;
    const auto vector_bytes = static_cast<std::uintptr_t>(kernels_.lanes) * sizeof(float);
    return size >= kStreamedSize && problem_.n % kernels_.lanes == 0 && depths_.count <= 1 &&
           reinterpret_cast<std::uintptr_t>(problem_.c) % vector_bytes == 0;
  }

  static const float* at(const void* data, std::int64_t column) {
    return data == nullptr ? nullptr : static_cast<const float*>(data) + column;
  }

  const RowProblem problem_;
  const TileKernels& kernels_;
  const int tile_rows_, width_;
  const std::int64_t panels_;             // of a group
  const std::int64_t first_packed_;       // panels before it are read in place
  const Blocks columns_, rows_, depths_;  // of panels, of rows, of depth
  const bool streamed_;
  const float* packed_ = nullptr;
};

}  // namespace pila::kernels::cpu
