// Matrix products with rounded factors, for weights that stay: a is rounded on the way in, b is packed.
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"
#include "kernels/cpu/product_panel.h"

namespace pila::kernels::cpu {
namespace {

constexpr std::int64_t kRows = 56;  // of a task

template <class Element>
struct RoundedProduct {
  RoundedProduct(const Matmul& args, bool prepared, void* memory)
      : a(args.m, args.k), columns(args.n, a.planes, a.depth, kElement<Element>, a.tiled()) {
    Scratch scratch(memory);
    weights = scratch.take<float>(prepared ? 0 : columns.size());
    rows = scratch.take<Element>(a.size());
    bytes = scratch.bytes();
  }

  void pack(const Matmul& args, float* to) const {
    columns.template pack<Element>({args.b, args.epilogue.bias, args.k, args.n, args.rounding.a}, to);
  }

  const RoundedRows<Element> a;
  const ProductColumns columns;
  float* weights;
  Element* rows;  // of a
  std::size_t bytes;
};

template <class Element>
bool supports(const Matmul& args) {
  return multiplies<Element>(args.type, args.rounding.to, args.k) && !args.transpose_a && !args.transpose_b &&
         args.prologue.scaling == nullptr;
}

template <class Element, bool kPrepared>
std::size_t workspace(const Matmul& args, const Stream&) {
  return RoundedProduct<Element>(args, kPrepared, nullptr).bytes;
}

template <class Element>
std::size_t prepared_size(const Matmul& args, const Stream&) {
  return static_cast<std::size_t>(RoundedProduct<Element>(args, true, nullptr).columns.size()) *
         sizeof(float);
}

template <class Element>
Status prepare(const Matmul& args, void* to, const Launch&) {
  RoundedProduct<Element>(args, true, nullptr).pack(args, static_cast<float*>(to));
  return nullptr;
}

template <class Element>
Status run(const Matmul& args, const Launch& launch) {
  const bool prepared = launch.prepared != nullptr;
  const RoundedProduct<Element> product(args, prepared, launch.workspace);
  if (!prepared) product.pack(args, product.weights);
  const float* weights = prepared ? static_cast<const float*>(launch.prepared) : product.weights;
  const auto *a = static_cast<const float*>(args.a),
             *residual = static_cast<const float*>(args.epilogue.residual);
  ThreadPool& pool = pool_of(*launch.stream);
  run_pieces(pool, args.m, kRows, [&](std::int64_t begin, std::int64_t end) {
    product.a.round(a, begin, end, args.rounding.a, product.rows);
  });
  const Split& panels = product.columns.vectors;
  const Split blocks(args.m, kRows);
  pool.run(blocks.count * panels.count, [&](std::int64_t task, int) {
    const TilesInUse tiles;
    const std::int64_t panel = task / blocks.count, block = task % blocks.count, row = blocks.begin(block);
    const std::int64_t next = std::min(panel + pool.threads(), panels.count);
    const Ahead ahead{weights + product.columns.at(next),
                      weights + product.columns.at(std::min(next + 1, panels.count))};
    product.columns.template multiply<Element>(
        panel, weights, blocks.size(block), product.a.from(product.rows, row),
        {static_cast<float*>(args.c) + row * args.n, residual == nullptr ? nullptr : residual + row * args.n,
         args.n, args.n, args.epilogue.activation},
        ahead.share(block, 1, blocks.count));
  });
  return nullptr;
}

template <class Element>
Kernel<Matmul> kernel(const char* name) {
  return {name,
          supports<Element>,
          workspace<Element, false>,
          run<Element>,
          {prepared_size<Element>, prepare<Element>, workspace<Element, true>}};
}

}  // namespace

void add_rounded_matmul_kernels(KernelTable& table) {
  table.matmul.add(kernel<BFloat16Pair>("matmul_bf16"));
  table.matmul.add(has_dot_products() ? kernel<Int8Quad>("matmul_i8") : kernel<Int8Pair>("matmul_i8"));
}

}  // namespace pila::kernels::cpu
