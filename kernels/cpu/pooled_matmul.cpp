// A product and the means of its rows, which are all that leaves the registers.
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"
#include "kernels/cpu/product_panel.h"

namespace pila::kernels::cpu {
namespace {

template <class Element>
struct PooledPanels {
  explicit PooledPanels(const PooledMatmul& args)
      : lanes(panel_sizes().lanes),
        depth(ceil_div(args.k, kElement<Element>.values)),
        vectors(ceil_div(args.n, lanes), std::min(3, panel_sizes().most_vectors)) {}

  std::int64_t at(std::int64_t panel) const {
    return vectors.begin(panel) * lanes * (depth + kElement<Element>.head_rows);
  }
  std::int64_t size() const { return at(vectors.count); }

  void pack(const PooledMatmul& args, float* to) const {
    for (std::int64_t panel = 0; panel < vectors.count; ++panel) {
      to = pack_panel<Element>({args.b, args.bias, args.k, args.n, args.rounding.a}, depth,
                               vectors.begin(panel) * lanes, vectors.size(panel) * lanes, to);
    }
  }

  const std::int64_t lanes, depth;
  const Split vectors;
};

template <class Element>
struct PooledScratch {
  PooledScratch(const PooledMatmul& args, const PooledPanels<Element>& panels, bool prepared, void* memory) {
    constexpr bool kRounds = !std::is_same_v<Element, float>;
    Scratch scratch(memory);
    weights = scratch.take<float>(prepared ? 0 : panels.size());
    rows = scratch.take<Element>(kRounds ? args.batch * args.rows * panels.depth : 0);
    bytes = scratch.bytes();
  }
  float* weights;
  Element* rows;  // a, where it is to be rounded
  std::size_t bytes;
};

template <class Element>
bool supports(const PooledMatmul& args) {
  return multiplies<Element>(args.type, args.rounding.to, args.k);
}

template <class Element, bool kPrepared>
std::size_t workspace(const PooledMatmul& args, const Stream&) {
  return PooledScratch<Element>(args, PooledPanels<Element>(args), kPrepared, nullptr).bytes;
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

// The rows of a as elements, in `to` where they are not what they are in a.
template <class Element>
const Element* elements_of(const PooledMatmul& args, std::int64_t depth, Element* to, ThreadPool& pool) {
  const auto* a = static_cast<const float*>(args.a);
  if constexpr (std::is_same_v<Element, float>) {
    return a;
  } else {
    constexpr std::int64_t kRows = 32;
    run_pieces(pool, args.batch * args.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
      round_rows(a + begin * args.k, end - begin, args.k, args.rounding.a, to + begin * depth, depth);
    });
    return to;
  }
}

template <class Element>
Status run(const PooledMatmul& args, const Launch& launch) {
  const PooledPanels<Element> panels(args);
  const bool prepared = launch.prepared != nullptr;
  const PooledScratch<Element> scratch(args, panels, prepared, launch.workspace);
  if (!prepared) panels.pack(args, scratch.weights);
  const float* weights = prepared ? static_cast<const float*>(launch.prepared) : scratch.weights;
  ThreadPool& pool = pool_of(*launch.stream);
  const Element* a = elements_of(args, panels.depth, scratch.rows, pool);
  auto* c = static_cast<float*>(args.c);
  pool.run(panels.vectors.count * args.batch, [&](std::int64_t task, int) {
    const std::int64_t panel = task / args.batch, image = task % args.batch;
    const std::int64_t column = panels.vectors.begin(panel) * panels.lanes;
    const std::int64_t width = panels.vectors.size(panel) * panels.lanes;
    const float* from = weights + panels.at(panel);
    const std::int64_t next = std::min(panel + pool.threads(), panels.vectors.count);
    const Ahead ahead{weights + panels.at(next),
                      weights + panels.at(std::min(next + 1, panels.vectors.count))};
    panel_kernels<Element>().pool(static_cast<int>(panels.vectors.size(panel)), args.rows,
                                  {a + image * args.rows * panels.depth, panels.depth, 0, 1, panels.depth},
                                  {from, width}, args.activation,
                                  std::min(width, args.n - column), c + image * args.n + column,
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
  table.pooled_matmul.add(kernel<Int8Quad>("pooled_matmul_i8"));
}

}  // namespace pila::kernels::cpu
