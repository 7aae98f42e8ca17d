// A product and the means of its rows, which are all that leaves the registers.
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"
#include "kernels/cpu/product_panel.h"

namespace pila::kernels::cpu {
namespace {

// The columns of b as panels of equal width: the last one's may lie beyond b.
template <class Element>
struct PooledPanels {
  explicit PooledPanels(const PooledMatmul& args)
      : rows(args.batch * args.rows, args.k),
        depth(kRounds ? rows.planes * rows.depth : args.k),
        width(panel_sizes().pool_vectors * panel_sizes().lanes),
        count(ceil_div(args.n, width)) {}

  std::int64_t at(std::int64_t panel) const { return panel * width * (depth + kElement<Element>.head_rows); }
  std::int64_t size() const { return at(count); }

  void pack(const PooledMatmul& args, float* to) const {
    for (std::int64_t panel = 0; panel < count; ++panel) {
      to = pack_panel<Element>({args.b, args.bias, args.k, args.n, args.rounding.a}, depth, panel * width,
                               width, to);
    }
  }

  static constexpr bool kRounds = !std::is_same_v<Element, float>;
  const RoundedRows<Element> rows;  // a, where it is to be rounded
  const std::int64_t depth, width, count;
};

template <class Element>
struct PooledScratch {
  PooledScratch(const PooledPanels<Element>& panels, bool prepared, void* memory) {
    Scratch scratch(memory);
    weights = scratch.take<float>(prepared ? 0 : panels.size());
    rows = scratch.take<Element>(panels.kRounds ? panels.rows.size() : 0);
    bytes = scratch.bytes();
  }
  float* weights;
  Element* rows;
  std::size_t bytes;
};

template <class Element>
bool supports(const PooledMatmul& args) {
  return multiplies<Element>(args.type, args.rounding.to, args.k);
}

template <class Element, bool kPrepared>
std::size_t workspace(const PooledMatmul& args, const Stream&) {
  return PooledScratch<Element>(PooledPanels<Element>(args), kPrepared, nullptr).bytes;
}

template <class Element>
std::size_t packed_size(const PooledMatmul& args, const Stream&) {
  return static_cast<std::size_t>(PooledPanels<Element>(args).size()) * sizeof(float);
}

template <class Element>
Status prepare(const PooledMatmul& args, void* to, const Launch&) {
  PooledPanels<Element>(args).pack(args, static_cast<float*>(to));
  return nullptr;
}

template <class Element>
void round_rows(const PooledMatmul& args, const PooledPanels<Element>& panels, Element* to,
                ThreadPool& pool) {
  constexpr std::int64_t kRows = 32;
  run_pieces(pool, panels.rows.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
    panels.rows.round(static_cast<const float*>(args.a), begin, end, args.rounding.a, to);
  });
}

template <class Element>
Status run(const PooledMatmul& args, const Launch& launch) {
  const PooledPanels<Element> panels(args);
  const bool prepared = launch.prepared != nullptr;
  const PooledScratch<Element> scratch(panels, prepared, launch.workspace);
  if (!prepared) panels.pack(args, scratch.weights);
  const float* weights = prepared ? static_cast<const float*>(launch.prepared) : scratch.weights;
  ThreadPool& pool = pool_of(*launch.stream);
  if constexpr (panels.kRounds) round_rows(args, panels, scratch.rows, pool);
  const auto rows_of = [&](std::int64_t image) -> TileRows<Element> {
    if constexpr (PooledPanels<Element>::kRounds) {
      return panels.rows.from(scratch.rows, image * args.rows);
    } else {
      return {static_cast<const float*>(args.a) + image * args.rows * args.k, args.k, 0, 1, args.k};
    }
  };
  auto* c = static_cast<float*>(args.c);
  pool.run(panels.count * args.batch, [&](std::int64_t task, int) {
    const TilesInUse tiles;
    const std::int64_t panel = task / args.batch, image = task % args.batch, column = panel * panels.width;
    const std::int64_t next = std::min(panel + pool.threads(), panels.count);
    const Ahead ahead{weights + panels.at(next), weights + panels.at(std::min(next + 1, panels.count))};
    const auto& kernels = panel_kernels<Element>();
    const auto pool_rows = panels.rows.tiled() ? kernels.pool_tiled : kernels.pool;
    pool_rows(args.rows, rows_of(image), {weights + panels.at(panel), panels.width}, args.activation,
              std::min(panels.width, args.n - column), c + image * args.n + column,
              image == 0 ? ahead : Ahead());
  });
  return nullptr;
}

template <class Element>
Kernel<PooledMatmul> kernel(const char* name) {
  return {name,
          supports<Element>,
          workspace<Element, false>,
          run<Element>,
          {packed_size<Element>, prepare<Element>, workspace<Element, true>}};
}

}  // namespace

void add_pooled_matmul_kernels(KernelTable& table) {
  table.pooled_matmul.add(kernel<float>("pooled_matmul_f32"));
  table.pooled_matmul.add(kernel<BFloat16Pair>("pooled_matmul_bf16"));
  table.pooled_matmul.add(has_dot_products() ? kernel<Int8Quad>("pooled_matmul_i8")
                                             : kernel<Int8Pair>("pooled_matmul_i8"));
}

}  // namespace pila::kernels::cpu
