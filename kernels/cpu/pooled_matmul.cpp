// A product and the means of its rows, which are all that leaves the registers.
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/families.h"
#include "kernels/cpu/product_panel.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {
namespace {

struct PooledPanels {
  explicit PooledPanels(const PooledMatmul& args)
      : lanes(panel_kernels().lanes),
        depth(args.k),
        vectors(ceil_div(args.n, lanes), std::min(3, panel_kernels().most_vectors)) {}

  std::int64_t at(std::int64_t panel) const { return vectors.begin(panel) * lanes * (depth + 1); }
  std::int64_t size() const { return at(vectors.count); }

  void pack(const PooledMatmul& args, float* to) const {
    for (std::int64_t panel = 0; panel < vectors.count; ++panel) {
      to = pack_panel(args.b, args.bias, depth, args.n, vectors.begin(panel) * lanes,
                      vectors.size(panel) * lanes, to);
    }
  }

  const std::int64_t lanes, depth;
  const Split vectors;
};

bool supports(const PooledMatmul& args) { return args.type == DType::f32; }

std::size_t packed_size(const PooledMatmul& args, const Stream&) {
  return static_cast<std::size_t>(PooledPanels(args).size()) * sizeof(float);
}

Status prepare(const PooledMatmul& args, void* to, const Launch&) {
  PooledPanels(args).pack(args, static_cast<float*>(to));
  return nullptr;
}

Status run(const PooledMatmul& args, const Launch& launch) {
  const PooledPanels panels(args);
  const PanelKernels& kernels = panel_kernels();
  if (launch.prepared == nullptr) panels.pack(args, static_cast<float*>(launch.workspace));
  const auto* weights =
      static_cast<const float*>(launch.prepared == nullptr ? launch.workspace : launch.prepared);
  const auto* a = static_cast<const float*>(args.a);
  auto* c = static_cast<float*>(args.c);
  ThreadPool& pool = pool_of(*launch.stream);
  pool.run(panels.vectors.count * args.batch, [&](std::int64_t task, int) {
    const std::int64_t panel = task / args.batch, image = task % args.batch;
    const std::int64_t column = panels.vectors.begin(panel) * panels.lanes;
    const std::int64_t width = panels.vectors.size(panel) * panels.lanes;
    const float* from = weights + panels.at(panel);
    const std::int64_t next = std::min(panel + pool.threads(), panels.vectors.count);
    const Ahead ahead{weights + panels.at(next),
                      weights + panels.at(std::min(next + 1, panels.vectors.count))};
    kernels.pool(static_cast<int>(panels.vectors.size(panel)), args.rows,
                 {a + image * args.rows * args.k, args.k, 0, 1, args.k}, {from, from + width},
                 args.activation, std::min(width, args.n - column), c + image * args.n + column,
                 image == 0 ? ahead : Ahead());
  });
  return nullptr;
}

}  // namespace

void add_pooled_matmul_kernels(KernelTable& table) {
  table.pooled_matmul.add({"pooled_matmul_f32", supports, packed_size, run, {packed_size, prepare, nullptr}});
}

}  // namespace pila::kernels::cpu
