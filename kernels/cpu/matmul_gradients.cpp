// All gradients of a matrix product in float32.
//
// Large products take one pass over their rows: a chunk of them goes through all steps while it is in the
// caches. Small ones, which stay there anyway, take a step at a time, each with all of its own ways to share
// the work.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/families.h"
#include "kernels/cpu/gradient_rows.h"
#include "kernels/cpu/gradients_pass.h"

namespace pila::kernels::cpu {
namespace {

// ---- step by step
// -----------------------------------------------------------------------------------------------

struct StepScratch {
  StepScratch(const MatmulGradients& args, const Blocks& parts, void* memory) {
    Scratch scratch(memory);
    g = scratch.take<float>(args.activation == Activation::none ? 0 : args.m * args.n);
    sums = scratch.take<double>(args.dbias == nullptr ? 0 : parts.count * args.n);
    bytes = scratch.bytes();
  }
  float* g;
  double* sums;
  std::size_t bytes;  // what the products' own scratch memory lies behind
};

Blocks parts_of_steps(const MatmulGradients& args) {
  constexpr std::int64_t kMostParts = 64;
  return {args.m, ceil_div(args.m, kMostParts), gradient_chunk(args)};
}

Matmul product_for_da(const MatmulGradients& args, const void* g) {
  Matmul product;
  product.m = args.m;
  product.n = args.k;
  product.k = args.n;
  product.transpose_b = true;
  product.a = g;
  product.b = args.b;
  product.c = args.da;
  return product;
}

Matmul product_for_db(const MatmulGradients& args, const void* g) {
  Matmul product;
  product.m = args.k;
  product.n = args.n;
  product.k = args.m;
  product.transpose_a = true;
  product.a = args.a;
  product.b = g;
  product.c = args.db;
  product.prologue = args.prologue;
  return product;
}

std::size_t workspace_of(const Matmul& product, const Stream& stream) {
  return table().matmul.select(product)->workspace(product, stream);
}

std::size_t workspace_of_steps(const MatmulGradients& args, const Stream& stream) {
  const std::size_t da = args.da == nullptr ? 0 : workspace_of(product_for_da(args, nullptr), stream);
  const std::size_t db = args.db == nullptr ? 0 : workspace_of(product_for_db(args, nullptr), stream);
  return StepScratch(args, parts_of_steps(args), nullptr).bytes + std::max(da, db);
}

void gradient_of_sums(const MatmulGradients& args, const Blocks& parts, const StepScratch& scratch,
                      ThreadPool& pool) {
  pool.run(parts.count, [&](std::int64_t part, int) {
    double* sums = args.dbias == nullptr ? nullptr : scratch.sums + part * args.n;
    if (sums != nullptr) std::fill_n(sums, args.n, 0.0);
    const std::int64_t row = parts.begin(part), rows = parts.end(part) - row;
    gradient_rows(rows_of(args, row, rows, at_offset(scratch.g, row * args.n), args.n, sums));
  });
  if (args.dbias != nullptr) add_sums(scratch.sums, parts.count, args.n, static_cast<float*>(args.dbias));
}

Status run_steps(const MatmulGradients& args, const Launch& launch) {
  const Blocks parts = parts_of_steps(args);
  const StepScratch scratch(args, parts, launch.workspace);
  const bool has_slope = args.activation != Activation::none;
  if (has_slope || args.dbias != nullptr) gradient_of_sums(args, parts, scratch, pool_of(*launch.stream));
  const void* g = has_slope ? scratch.g : args.dc;
  const Launch inner{launch.stream, static_cast<std::byte*>(launch.workspace) + scratch.bytes};
  if (args.da != nullptr) {
    const Matmul product = product_for_da(args, g);
    if (const Status status = table().matmul.select(product)->run(product, inner)) return status;
  }
  if (args.db == nullptr) return nullptr;
  const Matmul product = product_for_db(args, g);
  return table().matmul.select(product)->run(product, inner);
}

// ---- the entry
// ------------------------------------------------------------------------------------------------

bool supports(const MatmulGradients& args) {
  return multiplies<float>(args.type, args.rounding, args.k) && args.activation != Activation::silu;
}

std::size_t workspace(const MatmulGradients& args, const Stream& stream) {
  if (!GradientsPass::is_best(args)) return workspace_of_steps(args, stream);
  return GradientsPass(args, pool_of(stream).threads(), nullptr).bytes();
}

Status run(const MatmulGradients& args, const Launch& launch) {
  if (!GradientsPass::is_best(args)) return run_steps(args, launch);
  ThreadPool& pool = pool_of(*launch.stream);
  GradientsPass(args, pool.threads(), launch.workspace).run(pool);
  return nullptr;
}

}  // namespace

void add_matmul_gradients_kernels(KernelTable& table) {
  table.matmul_gradients.add({"matmul_gradients_f32", supports, workspace, run});
}

}  // namespace pila::kernels::cpu
