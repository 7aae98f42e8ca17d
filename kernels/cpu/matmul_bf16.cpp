// Matrix products with factors of bfloat16, for weights that stay: a is rounded on the way in, b is packed.
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"
#include "kernels/cpu/product_panel.h"

namespace pila::kernels::cpu {
namespace {

constexpr std::int64_t kRows = 56;  // of a task

struct PairProduct {
  PairProduct(const Matmul& args, bool prepared, void* memory)
      // Even, since folded columns take two pairs at a time.
      : depth(round_up(ceil_div(args.k, 2), 2)), columns(args.n, 1, depth) {
    Scratch scratch(memory);
    weights = scratch.take<float>(prepared ? 0 : columns.size());
    rows = scratch.take<BFloat16Pair>(args.m * depth);
    bytes = scratch.bytes();
  }

  void pack(const Matmul& args, float* to) const {
    columns.pack<BFloat16Pair>(args.b, args.epilogue.bias, args.k, to);
  }

  const std::int64_t depth;
  const ProductColumns columns;
  float* weights;
  BFloat16Pair* rows;  // a, [m, depth]
  std::size_t bytes;
};

bool supports(const Matmul& args) {
  return multiplies<BFloat16Pair>(args.type, args.rounding.to) && !args.transpose_a && !args.transpose_b;
}

template <bool kPrepared>
std::size_t workspace(const Matmul& args, const Stream&) {
  return PairProduct(args, kPrepared, nullptr).bytes;
}

std::size_t prepared_size(const Matmul& args, const Stream&) {
  return static_cast<std::size_t>(PairProduct(args, true, nullptr).columns.size()) * sizeof(float);
}

Status prepare(const Matmul& args, void* to, const Launch&) {
  PairProduct(args, true, nullptr).pack(args, static_cast<float*>(to));
  return nullptr;
}

Status run(const Matmul& args, const Launch& launch) {
  const bool prepared = launch.prepared != nullptr;
  const PairProduct product(args, prepared, launch.workspace);
  if (!prepared) product.pack(args, product.weights);
  const float* weights = prepared ? static_cast<const float*>(launch.prepared) : product.weights;
  const auto *a = static_cast<const float*>(args.a),
             *residual = static_cast<const float*>(args.epilogue.residual);
  ThreadPool& pool = pool_of(*launch.stream);
  run_pieces(pool, args.m, kRows, [&](std::int64_t begin, std::int64_t end) {
    round_rows(a + begin * args.k, end - begin, args.k, product.rows + begin * product.depth, product.depth);
  });
  const Split& panels = product.columns.vectors;
  const Split blocks(args.m, kRows);
  pool.run(blocks.count * panels.count, [&](std::int64_t task, int) {
    const std::int64_t panel = task / blocks.count, block = task % blocks.count, row = blocks.begin(block);
    const std::int64_t next = std::min(panel + pool.threads(), panels.count);
    const Ahead ahead{weights + product.columns.at(next),
                      weights + product.columns.at(std::min(next + 1, panels.count))};
    product.columns.multiply<BFloat16Pair>(
        panel, weights, blocks.size(block),
        {product.rows + row * product.depth, product.depth, 0, 1, product.depth},
        {static_cast<float*>(args.c) + row * args.n, residual == nullptr ? nullptr : residual + row * args.n,
         args.n, args.n, args.epilogue.activation},
        ahead.share(block, 1, blocks.count));
  });
  return nullptr;
}

}  // namespace

void add_bfloat16_matmul_kernels(KernelTable& table) {
  table.matmul.add(
      {"matmul_bf16_panels", supports, workspace<false>, run, {prepared_size, prepare, workspace<true>}});
}

}  // namespace pila::kernels::cpu
