// Matrix products in float32.
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/elements.h"
#include "kernels/cpu/families.h"
#include "kernels/cpu/gemm_columns.h"
#include "kernels/cpu/gemm_rows.h"
#include "kernels/cpu/normalise.h"

namespace pila::kernels::cpu {
namespace {

const float* floats(const void* data) { return static_cast<const float*>(data); }

// ---- a stored row by row
// --------------------------------------------------------------------------------------

// A few rows read b too seldom for packing it to pay; fewer where b's rows lie a multiple of 4 KiB apart and
// so share a few sets of the cache.
bool better_in_place(const Matmul& args) {
  const std::int64_t few = args.n % 1024 == 0 ? 28 : 64;
  return !args.transpose_b && args.m <= few;
}

RowProblem row_problem(const Matmul& args, bool prepared) {
  RowProblem problem;
  problem.m = args.m;
  problem.n = args.n;
  problem.depth = args.k;
  problem.c = static_cast<float*>(args.c);
  problem.epilogue = args.epilogue;
  problem.a = floats(args.a);
  problem.b = floats(args.b);
  problem.b_stride = args.n;
  problem.b_in_place = !prepared && better_in_place(args);
  return problem;
}

struct MatrixRows {
  const Matmul& args;
  const float** table;  // [threads, kMaxTileRows]
  float* normalised;    // [threads, kMaxTileRows, k]: a tile's rows where there is a prologue

  const float** pointers(int worker) const { return table + worker * kMaxTileRows; }

  void tile(std::int64_t, std::int64_t row, int rows, int padded, int worker, const float** to,
            std::int64_t* offsets) const {
    const float* a = floats(args.a) + row * args.k;
    if (const RowPrologue prologue(args.prologue, args.k); prologue.exists()) {
      float* own = normalised + worker * kMaxTileRows * args.k;
      prologue.run(a, rows, 0, args.k, own, args.k);
      a = own;
    }
    for (int r = 0; r < padded; ++r) to[r] = a + std::min(r, rows - 1) * args.k;
    for (int r = 0; r < rows; ++r) offsets[r] = (row + r) * args.n;
  }
};

struct RowScratch {
  RowScratch(const Matmul& args, const RowProduct& product, bool prepared, int threads, void* memory) {
    Scratch scratch(memory);
    packed = scratch.take<float>(prepared ? 0 : product.packed_size());
    pointers = scratch.take<const float*>(threads * kMaxTileRows);
    normalised = scratch.take<float>(args.prologue.scaling == nullptr ? 0 : threads * kMaxTileRows * args.k);
    bytes = scratch.bytes();
  }
  float* packed;
  const float** pointers;
  float* normalised;
  std::size_t bytes;
};

void pack_rows(const Matmul& args, RowProduct& product, float* packed, ThreadPool& pool) {
  const TileKernels& kernels = tile_kernels();
  product.pack(packed, pool, [&](std::int64_t, std::int64_t column, int columns, int width, float* out) {
    if (args.transpose_b) {
      kernels.pack_transposed(floats(args.b) + column * args.k, args.k, args.k, columns, width, out);
    } else {
      kernels.pack(floats(args.b) + column, args.n, args.k, columns, width, out, width);
    }
  });
}

Status multiply_rows(const Matmul& args, const Launch& launch) {
  ThreadPool& pool = pool_of(*launch.stream);
  const bool prepared = launch.prepared != nullptr;
  RowProduct product(row_problem(args, prepared));
  const RowScratch scratch(args, product, prepared, pool.threads(), launch.workspace);
  if (prepared) {
    product.use(floats(launch.prepared));
  } else {
    pack_rows(args, product, scratch.packed, pool);
  }
  product.run(pool, MatrixRows{args, scratch.pointers, scratch.normalised});
  return nullptr;
}

// ---- a stored transposed
// --------------------------------------------------------------------------------------

ColumnProblem column_problem(const Matmul& args) {
  ColumnProblem problem;
  problem.m = args.m;
  problem.n = args.n;
  problem.k = args.k;
  problem.a = floats(args.a);
  problem.b = floats(args.b);
  problem.transpose_b = args.transpose_b;
  problem.c = static_cast<float*>(args.c);
  problem.epilogue = args.epilogue;
  return problem;
}

struct MatrixColumns {
  const Matmul& args;
  const ColumnProduct& product;
  float* copies;  // [threads, kBlock, row_size(product)]

  // Of a worker's copy: whole lines, so that vectors do not straddle two.
  static std::int64_t row_size(const ColumnProduct& product) { return round_up(product.block_rows(), 16); }

  // With a prologue a block is copied normalised, row by row; else a tile that many panels read is packed.
  void views(std::int64_t, std::int64_t row, std::int64_t end, std::int64_t p, std::int64_t depth, int worker,
             RowsView* to) const {
    const int width = product.tile_rows();
    const std::int64_t copy_row = row_size(product);
    float* out = copies + worker * copy_row * ColumnProduct::kBlock;
    if (const RowPrologue prologue(args.prologue, args.m); prologue.exists()) {
      prologue.run(floats(args.a) + p * args.m, depth, row, end - row, out, copy_row);
      for (; row < end; row += width, out += width) *to++ = {out, copy_row};
      return;
    }
    const bool copy = product.reuse() > 2;
    for (; row < end; row += width, out += width * ColumnProduct::kBlock) {
      const int real = static_cast<int>(std::min<std::int64_t>(width, end - row));
      *to++ =
          slice_rows(tile_kernels(), floats(args.a), args.k, args.m, p, depth, row, real, width, copy, out);
    }
  }
};

struct ColumnScratch {
  ColumnScratch(ColumnProduct& product, int threads, void* memory) {
    Scratch scratch(memory);
    product.take(scratch, threads);
    copies = scratch.take<float>(MatrixColumns::row_size(product) * ColumnProduct::kBlock * threads);
    bytes = scratch.bytes();
  }
  float* copies;
  std::size_t bytes;
};

Status multiply_columns(const Matmul& args, const Launch& launch) {
  ThreadPool& pool = pool_of(*launch.stream);
  ColumnProduct product(column_problem(args), pool.threads());
  const ColumnScratch scratch(product, pool.threads(), launch.workspace);
  product.run(pool, MatrixColumns{args, product, scratch.copies});
  return nullptr;
}

// ---- the entry
// ------------------------------------------------------------------------------------------------

bool supports(const Matmul& args) { return multiplies<float>(args.type, args.rounding.to, args.k); }

std::size_t workspace_of(const Matmul& args, const Stream& stream, bool prepared) {
  const int threads = pool_of(stream).threads();
  if (!args.transpose_a) {
    return RowScratch(args, RowProduct(row_problem(args, prepared)), prepared, threads, nullptr).bytes;
  }
  ColumnProduct product(column_problem(args), threads);
  return ColumnScratch(product, threads, nullptr).bytes;
}

std::size_t workspace(const Matmul& args, const Stream& stream) { return workspace_of(args, stream, false); }

std::size_t prepared_workspace(const Matmul& args, const Stream& stream) {
  return workspace_of(args, stream, true);
}

// With a transposed there is nothing to prepare.
std::size_t prepared_size(const Matmul& args, const Stream&) {
  if (args.transpose_a) return 0;
  return static_cast<std::size_t>(RowProduct(row_problem(args, true)).packed_size()) * sizeof(float);
}

Status prepare(const Matmul& args, void* to, const Launch& launch) {
  if (args.transpose_a) return nullptr;
  RowProduct product(row_problem(args, true));
  pack_rows(args, product, static_cast<float*>(to), pool_of(*launch.stream));
  return nullptr;
}

Status run(const Matmul& args, const Launch& launch) {
  return args.transpose_a ? multiply_columns(args, launch) : multiply_rows(args, launch);
}

}  // namespace

void add_matmul_kernels(KernelTable& table) {
  table.matmul.add(
      {"matmul_f32_tiles", supports, workspace, run, {prepared_size, prepare, prepared_workspace}});
}

}  // namespace pila::kernels::cpu
