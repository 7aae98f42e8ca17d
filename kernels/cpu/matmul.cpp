// Matrix products in float32.
//
// Rows of a are read where they lie, when a is stored row by row; b is packed once into panels as wide as a
// tile. Where a is stored transposed and k is long (a layer's weight gradient), k is cut into chunks by the
// shape alone, and their sums are added in order.
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/families.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {
namespace {

constexpr std::int64_t kMaxDepth = 2048;  // values of k summed in registers before they go to memory

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

// Cuts [0, total) into equal blocks of at most `limit`, each a multiple of `unit` but the last.
struct Blocks {
  Blocks(std::int64_t total_size, std::int64_t limit, std::int64_t unit) : total(total_size) {
    const std::int64_t wanted = ceil_div(total, std::max(limit, unit));
    size = round_up(ceil_div(total, std::max<std::int64_t>(wanted, 1)), unit);
    count = ceil_div(total, std::max<std::int64_t>(size, 1));
  }
  std::int64_t begin(std::int64_t block) const { return block * size; }
  std::int64_t end(std::int64_t block) const { return std::min(total, (block + 1) * size); }

  std::int64_t total, size, count;
};

const float* floats(const void* data) { return static_cast<const float*>(data); }

const float* at_column(const void* data, std::int64_t column) {
  return data == nullptr ? nullptr : floats(data) + column;
}

// The panels of op(b): `width` columns each, packed, or read where they lie.
struct Panels {
  Panels(const Matmul& args, int panel_width) : width(panel_width), count(ceil_div(args.n, width)) {
    // Packing pays when every panel is read a few times over.
    const bool in_place = !args.transpose_b && args.m <= kFewRows;
    first_packed = in_place ? args.n / width : 0;
  }

  // Rows that read b so seldom that packing it would not pay.
  static constexpr std::int64_t kFewRows = 32;

  std::int64_t packed_size(std::int64_t k) const { return (count - first_packed) * width * k; }

  int width;
  std::int64_t count, first_packed;
};

void pack_panels(const Matmul& args, const Panels& panels, const TileKernels& kernels, float* packed,
                 ThreadPool& pool) {
  pool.run(panels.count - panels.first_packed, [&](std::int64_t index, int) {
    const std::int64_t column = (panels.first_packed + index) * panels.width;
    const int columns = static_cast<int>(std::min<std::int64_t>(panels.width, args.n - column));
    float* out = packed + index * panels.width * args.k;
    if (args.transpose_b) {
      kernels.pack_transposed(floats(args.b) + column * args.k, args.k, args.k, columns, panels.width, out);
    } else {
      kernels.pack(floats(args.b) + column, args.n, args.k, columns, panels.width, out);
    }
  });
}

// Where row p of a panel begins.
struct PanelView {
  const float* data;
  std::int64_t stride;
};

PanelView view(const Matmul& args, const Panels& panels, const float* packed, std::int64_t panel,
               std::int64_t p) {
  if (panel < panels.first_packed) return {floats(args.b) + p * args.n + panel * panels.width, args.n};
  return {packed + ((panel - panels.first_packed) * args.k + p) * panels.width, panels.width};
}

int vectors_for(int columns, int lanes) { return (columns + lanes - 1) / lanes; }

// The output of a tile whose sums over k end here only in the last block of k.
TileOutput output_of(const Matmul& args, std::int64_t column, int columns, bool first, bool last) {
  TileOutput out;
  out.c = static_cast<float*>(args.c) + column;
  out.columns = columns;
  out.accumulate = !first;
  if (last) {
    out.bias = at_column(args.epilogue.bias, column);
    out.residual = at_column(args.epilogue.residual, column);
    out.activation = args.epilogue.activation;
  }
  return out;
}

// How many multiplications make a task: many tasks for many threads, none too small to be worth the hand-out.
std::int64_t task_size(const Matmul& args) {
  return std::clamp<std::int64_t>(args.m * args.n * args.k / 64, 1 << 18, 1 << 22);
}

// ---- a stored row by row
// --------------------------------------------------------------------------------------

struct RowPlan {
  explicit RowPlan(const Matmul& args, const TileKernels& kernels)
      : tile_rows(rows_of_tile(args, kernels)),
        panels(args, kernels.lanes * (tile_rows == kernels.wide_rows ? 4 : 2)),
        depth(args.k, kMaxDepth, 1),
        columns(panels.count, column_limit(args), 1),
        rows(args.m, row_limit(args), tile_rows) {}

  // Long rows of c and little to sum: a wide tile writes them in longer stretches.
  static int rows_of_tile(const Matmul& args, const TileKernels& kernels) {
    const bool wide = kernels.wide_rows > 0 && args.n >= 8 * kernels.lanes && args.k <= 128;
    return wide ? kernels.wide_rows : kernels.tall_rows;
  }

  // Panels of one task: what the second cache holds beside the rows, and fewer where there are few rows.
  std::int64_t column_limit(const Matmul& args) const {
    const std::int64_t panel_size = panels.width * std::max<std::int64_t>(depth.size, 1);
    const std::int64_t cached = kCachedPanels / panel_size;
    const std::int64_t enough = task_size(args) / (panel_size * tile_rows);
    return std::max<std::int64_t>(1, args.m <= 8 * tile_rows ? std::min(cached, enough) : cached);
  }

  std::int64_t row_limit(const Matmul& args) const {
    return task_size(args) / std::max<std::int64_t>(1, columns.size * panels.width * args.k);
  }

  static constexpr std::int64_t kCachedPanels = 1 << 18;  // numbers

  int tile_rows;
  Panels panels;
  Blocks depth, columns, rows;
};

void multiply_block(const Matmul& args, const RowPlan& plan, const TileKernels& kernels, const float* packed,
                    std::int64_t row_block, std::int64_t column_block) {
  const float* a = floats(args.a);
  const std::int64_t row_end = plan.rows.end(row_block);
  for (std::int64_t block = 0; block < std::max<std::int64_t>(plan.depth.count, 1); ++block) {
    const std::int64_t p = plan.depth.begin(block);
    const std::int64_t depth = plan.depth.end(block) - p;
    for (std::int64_t row = plan.rows.begin(row_block); row < row_end; row += plan.tile_rows) {
      const int rows = static_cast<int>(std::min<std::int64_t>(plan.tile_rows, row_end - row));
      const float* pointers[kMaxTileRows];
      std::int64_t offsets[kMaxTileRows];
      for (int r = 0; r < TileKernels::padded_rows(rows); ++r) {
        const std::int64_t real = std::min(row + r, row_end - 1);
        pointers[r] = a + real * args.k + p;
        offsets[r] = real * args.n;
      }
      for (std::int64_t panel = plan.columns.begin(column_block); panel < plan.columns.end(column_block);
           ++panel) {
        const std::int64_t column = panel * plan.panels.width;
        const int columns = static_cast<int>(std::min<std::int64_t>(plan.panels.width, args.n - column));
        const PanelView b = view(args, plan.panels, packed, panel, p);
        TileOutput out = output_of(args, column, columns, block == 0, block + 1 >= plan.depth.count);
        out.offsets = offsets;
        out.rows = rows;
        kernels.row_kernel(rows, vectors_for(columns, kernels.lanes))(pointers, 1, depth, b.data, b.stride,
                                                                      out);
      }
    }
  }
}

Status multiply_rows(const Matmul& args, const Launch& launch) {
  const TileKernels& kernels = tile_kernels();
  const RowPlan plan(args, kernels);
  ThreadPool& pool = pool_of(*launch.stream);
  auto* packed = static_cast<float*>(launch.workspace);
  pack_panels(args, plan.panels, kernels, packed, pool);
  pool.run(plan.rows.count * plan.columns.count, [&](std::int64_t index, int) {
    multiply_block(args, plan, kernels, packed, index % plan.rows.count, index / plan.rows.count);
  });
  return nullptr;
}

// ---- a stored transposed
// --------------------------------------------------------------------------------------

struct ColumnPlan {
  ColumnPlan(const Matmul& args, const TileKernels& kernels)
      : tile_rows(even_tile_rows(args.m, kernels.tall_rows)),
        width(2 * kernels.lanes),
        rows(args.m, kRowTiles * tile_rows, tile_rows),
        columns(args.n, kPanels * width, width),
        chunks(args.k, chunk_limit(args), 1) {}

  // Tiles of nearly the same height instead of tall ones and a stump.
  static int even_tile_rows(std::int64_t m, int most) {
    const std::int64_t tiles = std::max<std::int64_t>(1, ceil_div(m, most));
    return TileKernels::padded_rows(static_cast<int>(std::max<std::int64_t>(1, ceil_div(m, tiles))));
  }

  // An epilogue wants the whole sum at once, so k stays whole.
  std::int64_t chunk_limit(const Matmul& args) const {
    const Epilogue& epilogue = args.epilogue;
    const bool plain =
        epilogue.bias == nullptr && epilogue.residual == nullptr && epilogue.activation == Activation::none;
    const std::int64_t blocks = std::max<std::int64_t>(1, rows.count * columns.count);
    return plain ? std::max(kMinChunk, ceil_div(args.k, ceil_div(kTasks, blocks))) : args.k;
  }

  // Numbers of scratch memory: a worker's packed part of a and of b, and all chunks' sums.
  std::int64_t packed_a_size() const { return round_up(rows.size * kBlock, kLine); }
  std::int64_t packed_b_size() const { return round_up(columns.size * kBlock, kLine); }
  std::int64_t parts_size(const Matmul& args) const {
    return chunks.count > 1 ? chunks.count * args.m * args.n : 0;
  }

  static constexpr std::int64_t kRowTiles = 8, kPanels = 8;
  static constexpr std::int64_t kTasks = 32;      // about as many as make every machine busy
  static constexpr std::int64_t kMinChunk = 512;  // values of k that are worth a task
  static constexpr std::int64_t kBlock = 256;     // values of k whose part of a and b the caches hold
  static constexpr std::int64_t kLine = 16;       // numbers in a cache line

  int tile_rows, width;
  Blocks rows, columns, chunks;
};

// Some rows of a stored matrix of `rows` rows of `row_size` as a kernel reads them, `width` at a time from
// `column` on: where they lie, unless that would read beyond the end of the matrix.
PanelView slice(const TileKernels& kernels, const float* matrix, std::int64_t rows, std::int64_t row_size,
                std::int64_t row, std::int64_t depth, std::int64_t column, int width, bool copy,
                float* packed) {
  const float* from = matrix + row * row_size + column;
  if (!copy && (row + depth - 1) * row_size + column + width <= rows * row_size) return {from, row_size};
  const int real = static_cast<int>(std::min<std::int64_t>(width, row_size - column));
  kernels.pack(from, row_size, depth, real, width, packed);
  return {packed, width};
}

// One chunk's sums for a block of rows and columns, into c.
class ChunkProduct {
 public:
  ChunkProduct(const Matmul& args, const ColumnPlan& plan, float* scratch)
      : args_(args), plan_(plan), packed_a_(scratch), packed_b_(scratch + plan.packed_a_size()) {}

  void run(std::int64_t row_block, std::int64_t column_block, std::int64_t chunk, float* c) {
    row_begin_ = plan_.rows.begin(row_block);
    row_end_ = plan_.rows.end(row_block);
    const std::int64_t begin = plan_.chunks.begin(chunk), end = plan_.chunks.end(chunk);
    std::int64_t p = begin;
    do {
      const std::int64_t depth = std::min(ColumnPlan::kBlock, end - p);
      view_a(p, depth);
      for (std::int64_t j = plan_.columns.begin(column_block); j < plan_.columns.end(column_block);
           j += plan_.width) {
        const int columns = static_cast<int>(std::min<std::int64_t>(plan_.width, args_.n - j));
        TileOutput out = output_of(args_, j, columns, p == begin, p + depth == end);
        out.c = c + j;
        multiply_panel(view_b(p, depth, j, columns), depth, out);
      }
      p += depth;
    } while (p < end);
  }

 private:
  void view_a(std::int64_t p, std::int64_t depth) {
    for (std::int64_t row = row_begin_; row < row_end_; row += plan_.tile_rows) {
      const std::int64_t tile = (row - row_begin_) / plan_.tile_rows;
      a_[tile] = slice(kernels_, floats(args_.a), args_.k, args_.m, p, depth, row, plan_.tile_rows,
                       args_.n > 2 * plan_.width, packed_a_ + (row - row_begin_) * ColumnPlan::kBlock);
    }
  }

  PanelView view_b(std::int64_t p, std::int64_t depth, std::int64_t column, int columns) {
    if (!args_.transpose_b) {
      const int width = vectors_for(columns, kernels_.lanes) * kernels_.lanes;
      return slice(kernels_, floats(args_.b), args_.k, args_.n, p, depth, column, width, false, packed_b_);
    }
    kernels_.pack_transposed(floats(args_.b) + column * args_.k + p, args_.k, depth, columns, plan_.width,
                             packed_b_);
    return {packed_b_, plan_.width};
  }

  void multiply_panel(const PanelView& b, std::int64_t depth, TileOutput& out) {
    for (std::int64_t row = row_begin_; row < row_end_; row += plan_.tile_rows) {
      const PanelView& a = a_[(row - row_begin_) / plan_.tile_rows];
      out.rows = static_cast<int>(std::min<std::int64_t>(plan_.tile_rows, row_end_ - row));
      std::int64_t offsets[kMaxTileRows];
      for (int r = 0; r < out.rows; ++r) offsets[r] = (row + r) * args_.n;
      out.offsets = offsets;
      kernels_.column_kernel(plan_.tile_rows, vectors_for(out.columns, kernels_.lanes))(
          a.data, a.stride, depth, b.data, b.stride, out);
    }
  }

  const TileKernels& kernels_ = tile_kernels();
  const Matmul& args_;
  const ColumnPlan& plan_;
  float* packed_a_;
  float* packed_b_;
  std::int64_t row_begin_ = 0, row_end_ = 0;
  PanelView a_[ColumnPlan::kRowTiles] = {};
};

Status multiply_columns(const Matmul& args, const Launch& launch) {
  const TileKernels& kernels = tile_kernels();
  const ColumnPlan plan(args, kernels);
  ThreadPool& pool = pool_of(*launch.stream);
  auto* parts = static_cast<float*>(launch.workspace);
  float* scratch = parts + round_up(plan.parts_size(args), ColumnPlan::kLine);
  const bool whole = plan.chunks.count <= 1;
  const std::int64_t blocks = plan.rows.count * plan.columns.count;
  pool.run(blocks * std::max<std::int64_t>(plan.chunks.count, 1), [&](std::int64_t index, int worker) {
    const std::int64_t block = index % blocks, chunk = index / blocks;
    ChunkProduct product(args, plan, scratch + worker * (plan.packed_a_size() + plan.packed_b_size()));
    product.run(block % plan.rows.count, block / plan.rows.count, chunk,
                whole ? static_cast<float*>(args.c) : parts + chunk * args.m * args.n);
  });
  if (!whole) {
    const Blocks pieces(args.m * args.n, 1 << 12, 16);
    pool.run(pieces.count, [&](std::int64_t index, int) {
      const std::int64_t begin = pieces.begin(index);
      kernels.sum_parts(parts + begin, args.m * args.n, static_cast<int>(plan.chunks.count),
                        pieces.end(index) - begin, static_cast<float*>(args.c) + begin);
    });
  }
  return nullptr;
}

// ---- the entry
// ------------------------------------------------------------------------------------------------

bool supports(const Matmul& args) { return args.type == DType::f32; }

std::size_t workspace(const Matmul& args, const Stream& stream) {
  std::int64_t numbers = 0;
  if (args.transpose_a) {
    const ColumnPlan plan(args, tile_kernels());
    numbers = round_up(plan.parts_size(args), ColumnPlan::kLine) +
              (plan.packed_a_size() + plan.packed_b_size()) * pool_of(stream).threads();
  } else {
    numbers = RowPlan(args, tile_kernels()).panels.packed_size(args.k);
  }
  return static_cast<std::size_t>(numbers) * sizeof(float);
}

Status run(const Matmul& args, const Launch& launch) {
  return args.transpose_a ? multiply_columns(args, launch) : multiply_rows(args, launch);
}

}  // namespace

void add_matmul_kernels(KernelTable& table) {
  table.matmul.add({"matmul_f32_tiles", supports, workspace, run});
}

}  // namespace pila::kernels::cpu
