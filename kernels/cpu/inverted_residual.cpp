#include "kernels/cpu/inverted_residual.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/families.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/inverted_residual_rows.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {
namespace {

const float* floats(const void* data) { return static_cast<const float*>(data); }

template <class Element>
bool supports(const InvertedResidual& args) {
  const ConvShape& s = args.depthwise;
  const Window& w = s.window;
  const bool rounds_alike = args.expand.w == nullptr || args.project.w == nullptr ||
                            args.expand.rounding.to == args.project.rounding.to;
  return multiplies<Element>(args.type, precision_of(args), std::max(args.in_c, s.in_c)) && rounds_alike &&
         s.in_c == s.out_c && s.in_c > 0 && (w.kernel_h == 3 || w.kernel_h == 5) &&
         w.kernel_w == w.kernel_h && (w.stride_h == 1 || w.stride_h == 2) && w.stride_w == w.stride_h &&
         w.dilation_h == 1 && w.dilation_w == 1 && w.pad_top >= 0 && w.pad_left >= 0;
}

InvertedResidualPlan plan_of(const InvertedResidual& args) {
  return {args, panel_sizes().lanes, panel_sizes().most_vectors};
}

// ---- weights

template <class Element>
void pack_weights(const InvertedResidual& args, const InvertedResidualPlan& plan, float* to) {
  const auto pack = tile_kernels().pack;
  const std::int64_t wide = args.depthwise.in_c, lanes = plan.lanes;
  for (std::int64_t chunk = 0; chunk < plan.chunks.count; ++chunk) {
    const std::int64_t first = plan.chunks.begin(chunk), planes = plan.chunks.size(chunk);
    if (args.expand.w != nullptr) {
      to = pack_panel<Element>({args.expand.w, args.expand.bias, args.in_c, wide, args.expand.rounding.a},
                               plan.expand_depth, first * lanes, planes * lanes, to);
    }
    for (std::int64_t c = first * lanes; c < (first + planes) * lanes; c += lanes) {
      const auto real = static_cast<int>(std::min(lanes, wide - c)), all = static_cast<int>(lanes);
      pack(floats(args.depthwise_w) + c, wide, plan.taps, real, all, to, lanes);
      to += plan.taps * lanes;
      if (args.depthwise_bias == nullptr) {
        std::fill_n(to, lanes, 0.0f);
      } else {
        pack(floats(args.depthwise_bias) + c, wide, 1, real, all, to, lanes);
      }
      to += lanes;
    }
  }
  if (args.project.w != nullptr) {
    plan.project.pack<Element>({args.project.w, args.project.bias, wide, args.out_c, args.project.rounding.a},
                               to);
  }
}

std::size_t prepared_size(const InvertedResidual& args, const Stream&) {
  return static_cast<std::size_t>(plan_of(args).prepared_size()) * sizeof(float);
}

template <class Element>
Status prepare(const InvertedResidual& args, void* to, const Launch&) {
  pack_weights<Element>(args, plan_of(args), static_cast<float*>(to));
  return nullptr;
}

// ---- work

// The weights' part number `part`, for fetching; nothing behind the last.
Ahead weights_ahead(const BlockJob& job, std::int64_t part) {
  if (part >= job.plan.parts()) return {};
  return {job.weights + job.plan.part_at(part), job.weights + job.plan.part_at(part + 1)};
}

// Output rows of an image for each task; with few rows for many threads, a task is a chunk of the wide
// channels of the whole image instead, which needs no row twice.
struct Tasks {
  Tasks(const InvertedResidual& args, const InvertedResidualPlan& plan, int threads) {
    const std::int64_t few_rows = 7 / plan.element.values;  // the faster products are, the fewer
    const ConvShape& s = args.depthwise;
    const bool enough_images = s.batch % threads == 0 || s.batch >= 4 * threads;
    const std::int64_t wanted = enough_images ? 1 : threads;
    by_chunks = wanted > 1 && plan.whole_image && s.out_h < few_rows * wanted;
    rows = ceil_div(s.out_h, std::max<std::int64_t>(1, std::min(wanted, s.out_h)));
    bands = rows == 0 ? 0 : ceil_div(s.out_h, rows);
  }
  bool by_chunks;
  std::int64_t bands, rows;  // of an image, where tasks are bands
};

struct Memory {
  Memory(const InvertedResidual& args, const InvertedResidualPlan& plan, bool prepared, int threads,
         void* memory)
      : tasks(args, plan, threads) {
    Scratch scratch(memory);
    weights = scratch.take<float>(prepared ? 0 : plan.prepared_size());
    ring_size = round_up(plan.ring_size(), 16);
    zeros_size = round_up(plan.row_size(), 16);
    filtered_size = round_up(plan.filtered_size(args.depthwise.out_w), 16);
    rows_size = round_up(plan.rounds_filtered() ? 2 * args.depthwise.out_w * plan.lanes : 0, 16);
    rounded_size = round_up(plan.rounded_size, 16);
    rings = scratch.take<float>(threads * ring_size);
    zeros = scratch.take<float>(threads * zeros_size);
    rows = scratch.take<float>(threads * rows_size);
    rounded = scratch.take<float>((tasks.by_chunks ? 1 : threads) * rounded_size);
    filtered = scratch.take<float>((tasks.by_chunks ? 1 : threads) * filtered_size);
    bytes = scratch.bytes();
  }

  BlockScratch of(int worker) const {
    const int shared = tasks.by_chunks ? 0 : worker;
    return {rings + worker * ring_size, zeros + worker * zeros_size, rows + worker * rows_size,
            rounded + shared * rounded_size, filtered + shared * filtered_size};
  }

  Tasks tasks;
  float* weights;
  float *rings, *zeros, *rows;
  float* rounded;
  float* filtered;
  std::int64_t ring_size, zeros_size, rows_size, rounded_size, filtered_size;
  std::size_t bytes;
};

std::size_t workspace_of(const InvertedResidual& args, const Stream& stream, bool prepared) {
  return Memory(args, plan_of(args), prepared, pool_of(stream).threads(), nullptr).bytes;
}

std::size_t workspace(const InvertedResidual& args, const Stream& stream) {
  return workspace_of(args, stream, false);
}

std::size_t prepared_workspace(const InvertedResidual& args, const Stream& stream) {
  return workspace_of(args, stream, true);
}

// Rows [begin, end) of one image of x; `to` is for those that need to be rounded.
template <class Element>
InputRows input_rows(const BlockJob& job, std::int64_t image, std::int64_t begin, std::int64_t end,
                     float* to) {
  const ConvShape& s = job.args.depthwise;
  const std::int64_t row = s.in_w * job.args.in_c;
  const float* x = floats(job.args.x) + image * s.in_h * row;
  if (job.plan.rounded_size == 0) return {x, 0};
  if constexpr (!std::is_same_v<Element, float>) {
    const std::int64_t rows = std::max<std::int64_t>(end - begin, 0);  // none where all is border
    round_rows(x + begin * row, rows * s.in_w, job.args.in_c, job.args.expand.rounding.a,
               reinterpret_cast<Element*>(to), job.plan.expand_depth, job.plan.expand_depth);
  }
  return {to, begin};
}

// One panel of y for `pixels` pixels from number `pixel` of y on; filtered: the first one's. ahead: what is
// wanted after this.
template <class Element>
void project_panel(const BlockJob& job, std::int64_t panel, const float* filtered, std::int64_t pixel,
                   std::int64_t pixels, const Ahead& ahead) {
  const InvertedResidualPlan& plan = job.plan;
  const std::int64_t at = pixel * job.args.out_c;
  const auto* residual = static_cast<const float*>(job.args.residual);
  plan.project.multiply<Element>(
      panel, job.weights + plan.project_at(), pixels,
      {reinterpret_cast<const Element*>(filtered), plan.filtered_vector,
       plan.filtered_plane(job.args.depthwise.out_w), plan.filtered_planes(), plan.filtered_vector},
      {static_cast<float*>(job.args.y) + at, residual == nullptr ? nullptr : residual + at, job.args.out_c,
       job.args.out_c, job.args.project.activation},
      ahead);
}

template <class Element>
void run_bands(const BlockJob& job, const Memory& memory, ThreadPool& pool) {
  const FilterChunk filter = filter_chunk<Element>(job.plan.expand_tiled);
  const InvertedResidualPlan& plan = job.plan;
  const ConvShape& s = job.args.depthwise;
  const Tasks& tasks = memory.tasks;
  pool.run(s.batch * tasks.bands, [&](std::int64_t task, int worker) {
    const TilesInUse tiles;
    const std::int64_t image = task / tasks.bands, first = task % tasks.bands * tasks.rows;
    const std::int64_t last = std::min(s.out_h, first + tasks.rows);
    const BlockScratch scratch = memory.of(worker);
    clear_borders(job, scratch);
    std::int64_t made = 0;
    for (std::int64_t row = first; row < last; row += plan.group_rows) {
      const std::int64_t end = std::min(last, row + plan.group_rows);
      const auto ahead = [&](std::int64_t part) { return row == first ? weights_ahead(job, part) : Ahead(); };
      const InputRows x =
          input_rows<Element>(job, image, job.top(row, made), job.bottom(end), scratch.rounded);
      std::int64_t next = made;
      for (std::int64_t chunk = 0; chunk < plan.chunks.count; ++chunk) {
        next = filter(job, scratch, x, chunk, row, end, made, ahead(chunk + 1));
      }
      made = next;
      const std::int64_t pixel = (image * s.out_h + row) * s.out_w, pixels = (end - row) * s.out_w;
      for (std::int64_t panel = 0; panel < plan.project.vectors.count; ++panel) {
        project_panel<Element>(job, panel, scratch.filtered, pixel, pixels,
                               ahead(plan.chunks.count + panel + 1));
      }
      if (job.args.project.w == nullptr) copy_pixels(job, scratch.filtered, pixel, pixels);
    }
  });
}

template <class Element>
void run_chunks(const BlockJob& job, const Memory& memory, ThreadPool& pool) {
  constexpr std::int64_t kPixels = 32;  // of a task
  const FilterChunk filter = filter_chunk<Element>(job.plan.expand_tiled);
  const InvertedResidualPlan& plan = job.plan;
  const ConvShape& s = job.args.depthwise;
  const Split pixels(s.out_h * s.out_w, kPixels);
  for (std::int64_t image = 0; image < s.batch; ++image) {
    const InputRows x = input_rows<Element>(job, image, 0, job.bottom(s.out_h), memory.rounded);
    pool.run(plan.chunks.count, [&](std::int64_t chunk, int worker) {
      const TilesInUse tiles;
      const BlockScratch scratch = memory.of(worker);
      clear_borders(job, scratch);
      filter(job, scratch, x, chunk, 0, s.out_h, 0, weights_ahead(job, chunk + pool.threads()));
    });
    const bool projects = job.args.project.w != nullptr;
    pool.run(pixels.count * (projects ? plan.project.vectors.count : 1), [&](std::int64_t task, int) {
      const TilesInUse tiles;
      const std::int64_t part = task % pixels.count, first = pixels.begin(part), count = pixels.size(part);
      const float* from = memory.filtered + first * plan.filtered_vector;
      const std::int64_t pixel = image * s.out_h * s.out_w + first;
      if (projects) {
        const std::int64_t panel = task / pixels.count;
        const Ahead ahead = weights_ahead(job, plan.chunks.count + panel + 1);
        project_panel<Element>(job, panel, from, pixel, count, ahead.share(part, 1, pixels.count));
      } else {
        copy_pixels(job, from, pixel, count);
      }
    });
  }
}

template <class Element>
Status run(const InvertedResidual& args, const Launch& launch) {
  const ConvShape& s = args.depthwise;
  if (s.batch * s.out_h * s.out_w == 0) return nullptr;
  ThreadPool& pool = pool_of(*launch.stream);
  const InvertedResidualPlan plan = plan_of(args);
  const bool prepared = launch.prepared != nullptr;
  const Memory memory(args, plan, prepared, pool.threads(), launch.workspace);
  if (!prepared) pack_weights<Element>(args, plan, memory.weights);
  const BlockJob job{args, plan, prepared ? floats(launch.prepared) : memory.weights};
  memory.tasks.by_chunks ? run_chunks<Element>(job, memory, pool) : run_bands<Element>(job, memory, pool);
  return nullptr;
}

template <class Element>
Kernel<InvertedResidual> kernel(const char* name) {
  return {name,
          supports<Element>,
          workspace,
          run<Element>,
          {prepared_size, prepare<Element>, prepared_workspace}};
}

}  // namespace

void add_inverted_residual_kernels(KernelTable& table) {
  table.inverted_residual.add(kernel<float>("inverted_residual_f32"));
  table.inverted_residual.add(kernel<BFloat16Pair>("inverted_residual_bf16"));
  table.inverted_residual.add(has_dot_products() ? kernel<Int8Quad>("inverted_residual_i8")
                                                 : kernel<Int8Pair>("inverted_residual_i8"));
}

}  // namespace pila::kernels::cpu
