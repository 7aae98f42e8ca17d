#include "kernels/cpu/inverted_residual.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/inverted_residual.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/cpu/bounds.h"
#include "kernels/cpu/depthwise_rows.h"
#include "kernels/cpu/product_tile.h"
#include "kernels/cpu/simd_activation.h"

#ifndef PILA_KERNELS_CPU_INVERTED_RESIDUAL_JOB_
#define PILA_KERNELS_CPU_INVERTED_RESIDUAL_JOB_
namespace pila::kernels::cpu {

struct BlockJob {
  const InvertedResidual& args;
  const InvertedResidualPlan& plan;
  const float* weights;  // prepared

  // The rows of the wide tensor under output rows [row, last), of which those before `made` are made.
  std::int64_t top(std::int64_t row, std::int64_t made) const {
    return std::max(made, row * plan.stride - args.depthwise.window.pad_top);
  }
  std::int64_t bottom(std::int64_t last) const {
    return std::min((last - 1) * plan.stride - args.depthwise.window.pad_top + plan.kernel,
                    args.depthwise.in_h);
  }
};

// Scratch memory of one worker; the last two workers may share.
struct BlockScratch {
  float* ring;
  float* zeros;
  float* filtered_rows;
  float* rounded;   // rows of x, as elements
  float* filtered;  // as elements
};

// Rows of one image of x, from number `first` on, as elements of what reads them.
struct InputRows {
  const void* data;
  std::int64_t first;
};

using FilterChunk = std::int64_t (*)(const BlockJob& job, const BlockScratch& scratch, const InputRows& x,
                                     std::int64_t chunk, std::int64_t begin, std::int64_t end,
                                     std::int64_t made, const Ahead& ahead);

}  // namespace pila::kernels::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);

// `size` is a multiple of a vector.
HWY_NOINLINE void activate_range(Activation activation, float* y, std::int64_t size) {
  const FloatTag d;
  for (std::int64_t i = 0; i < size; i += kLanes) {
    hn::StoreU(activate(d, activation, hn::LoadU(d, y + i)), d, y + i);
  }
}

// Zeros where rows of the ring stand out of the image.
void clear_borders(const BlockJob& job, const BlockScratch& scratch) {
  const InvertedResidualPlan& plan = job.plan;
  const std::int64_t left = job.args.depthwise.window.pad_left * kLanes;
  const std::int64_t right = left + job.args.depthwise.in_w * kLanes;
  std::fill_n(scratch.zeros, plan.row_size(), 0.0f);
  float* row = scratch.ring;
  for (std::int64_t i = 0; i < plan.ring_planes() * plan.ring_rows; ++i, row += plan.row_size()) {
    std::fill(row, row + left, 0.0f);
    std::fill(row + right, row + plan.row_size(), 0.0f);
  }
}

// Walks over the pixels of x's rows, at their places in the ring.
class RingCursor {
 public:
  RingCursor(const BlockJob& job, float* ring, std::int64_t row)
      : ring_(ring),
        row_size_(job.plan.row_size()),
        rows_(job.plan.ring_rows),
        width_(job.args.depthwise.in_w),
        first_(job.args.depthwise.window.pad_left * kLanes),
        slot_(row % rows_) {}

  float* next() {
    float* at = ring_ + slot_ * row_size_ + first_ + column_ * kLanes;
    if (++column_ == width_) {
      column_ = 0;
      if (++slot_ == rows_) slot_ = 0;
    }
    return at;
  }

 private:
  float* const ring_;
  const std::int64_t row_size_, rows_, width_, first_;
  std::int64_t slot_, column_ = 0;
};

// Expands rows [begin, end) of x, given at `begin`, to kVectors planes of the ring.
template <class Step, int kVectors>
void expand_rows(const BlockJob& job, const typename Step::Element* x, const float* weights, float* ring,
                 std::int64_t begin, std::int64_t end, const Ahead& ahead) {
  const std::int64_t depth = job.plan.expand_depth, plane = job.plan.ring_rows * job.plan.row_size();
  const TilePanel<typename Step::Element> panel(weights, kVectors * kLanes);
  const PanelHead<Step, kVectors> head(panel.head);
  const Bounds bounds(job.args.expand.activation);
  const auto low = hn::Set(FloatTag(), bounds.low), high = hn::Set(FloatTag(), bounds.high);
  RingCursor cursor(job, ring, begin);
  const std::int64_t pixels = (end - begin) * job.args.depthwise.in_w;
  for_tiles<kVectors>(pixels, [&](auto height, std::int64_t pixel) {
    constexpr int kRows = height;
    float* to[kRows];
    for (int r = 0; r < kRows; ++r) to[r] = cursor.next();
    product_tile<Step, kRows, kVectors, 0>(
        {x + pixel * depth, depth, 0, 1, depth}, panel.b, ahead.share(pixel, kRows, pixels), head,
        [&](int r, int v, typename Step::Sum sum) {
          hn::StoreU(clamp(low, high, head.number(sum, v)), FloatTag(), to[r] + v * plane);
        });
  });
}

// The same without a product: channels from `channel` on.
void copy_rows(const BlockJob& job, const float* x, std::int64_t channel, std::int64_t planes, float* ring,
               std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = job.args.in_c, plane = job.plan.ring_rows * job.plan.row_size();
  RingCursor cursor(job, ring, begin);
  for (std::int64_t pixel = 0; pixel < (end - begin) * job.args.depthwise.in_w; ++pixel) {
    float* to = cursor.next();
    for (std::int64_t v = 0; v < planes; ++v, to += plane) {
      const std::int64_t c = channel + v * kLanes;
      const auto count = static_cast<std::size_t>(HWY_MIN(kLanes, channels - c));
      const float* from = x + pixel * channels + c;
      hn::StoreU(count == kFloatLanes ? hn::LoadU(FloatTag(), from) : load_partial(FloatTag(), from, count),
                 FloatTag(), to);
    }
  }
}

// Makes rows [begin, end) of a chunk of the wide tensor of one image.
template <class Step>
void make_rows(const BlockJob& job, const InputRows& x, std::int64_t chunk, float* ring, std::int64_t begin,
               std::int64_t end, const Ahead& ahead) {
  const ConvShape& s = job.args.depthwise;
  const InvertedResidualPlan& plan = job.plan;
  const std::int64_t planes = plan.chunks.size(chunk), pixel = (begin - x.first) * s.in_w;
  if (job.args.expand.w == nullptr) {
    return copy_rows(job, static_cast<const float*>(x.data) + pixel * job.args.in_c,
                     plan.chunks.begin(chunk) * kLanes, planes, ring, begin, end);
  }
  const auto* from = static_cast<const typename Step::Element*>(x.data) + pixel * plan.expand_depth;
  with_constant<kChunkVectors>(static_cast<int>(planes), [&](auto vectors) {
    expand_rows<Step, vectors>(job, from, job.weights + plan.chunk_at(chunk), ring, begin, end, ahead);
  });
  if (!Bounds(job.args.expand.activation).smooth) return;
  for (std::int64_t v = 0; v < planes; ++v) {
    for (std::int64_t row = begin; row < end; ++row) {
      float* at =
          ring + (v * plan.ring_rows + row % plan.ring_rows) * plan.row_size() + s.window.pad_left * kLanes;
      activate_range(job.args.expand.activation, at, s.in_w * kLanes);
    }
  }
}

// Output rows [begin, end) of a chunk, to planes whose first row is `begin`.
template <class Element>
void filter_rows(const BlockJob& job, const BlockScratch& scratch, std::int64_t chunk, const float* ring,
                 float* filtered, std::int64_t begin, std::int64_t end) {
  const ConvShape& s = job.args.depthwise;
  const InvertedResidualPlan& plan = job.plan;
  const Bounds bounds(job.args.depthwise_activation);
  constexpr std::int64_t kMostInRows = 7;
  const float* rows[kMostInRows];
  DepthwiseRows work;
  work.x = rows;
  work.w = job.weights + plan.chunk_at(chunk) + plan.chunks.size(chunk) * plan.expand_size();
  work.low = bounds.low;
  work.high = bounds.high;
  work.columns = s.out_w;
  work.y_row = s.out_w * kLanes;
  const int kernel = static_cast<int>(plan.kernel), stride = static_cast<int>(plan.stride);
  for (std::int64_t v = 0; v < plan.chunks.size(chunk); ++v) {
    const float* plane = ring + v * plan.ring_rows * plan.row_size();
    float* to = filtered + v * plan.filtered_plane(s.out_w);
    for (std::int64_t row = begin; row < end; row += 2) {
      const int count = row + 2 <= end ? 2 : 1;
      work.y = plan.rounds_filtered() ? scratch.filtered_rows : to;
      const std::int64_t top = row * stride - s.window.pad_top;
      for (std::int64_t r = 0; r < (count - 1) * stride + kernel; ++r) {
        const bool inside = top + r >= 0 && top + r < s.in_h;
        rows[r] = inside ? plane + (top + r) % plan.ring_rows * plan.row_size() : scratch.zeros;
      }
      depthwise_rows_kernel(kernel, stride, count)(work);
      if (bounds.smooth) activate_range(job.args.depthwise_activation, work.y, count * work.y_row);
      if constexpr (!std::is_same_v<Element, float>) {
        if (plan.rounds_filtered()) {
          round_rows(work.y, count * s.out_w, kLanes, job.args.project.rounding.a,
                     reinterpret_cast<Element*>(to), plan.filtered_vector);
        }
      }
      to += count * s.out_w * plan.filtered_vector;
    }
    work.w += plan.depthwise_size();
  }
}

// Rows [begin, end) of one chunk of the filtered tensor, which begins there. made: the rows of the wide
// tensor before it are in the ring as far as they are wanted. ahead: what is wanted after this. Returns the
// next `made`.
template <class Step>
std::int64_t filter_chunk(const BlockJob& job, const BlockScratch& scratch, const InputRows& x,
                          std::int64_t chunk, std::int64_t begin, std::int64_t end, std::int64_t made,
                          const Ahead& ahead) {
  const ConvShape& s = job.args.depthwise;
  const InvertedResidualPlan& plan = job.plan;
  const std::int64_t plane = plan.chunks.begin(chunk);
  float* ring = scratch.ring + (plan.whole_image ? 0 : plane) * plan.ring_rows * plan.row_size();
  float* filtered = scratch.filtered + plane * plan.filtered_plane(s.out_w);
  const std::int64_t first = job.top(begin, made), all = job.bottom(end) - first;
  for (std::int64_t row = begin; row < end; row += plan.step_rows) {
    const std::int64_t last = HWY_MIN(end, row + plan.step_rows);
    const std::int64_t from = job.top(row, made), to = job.bottom(last);
    if (from < to) {
      make_rows<Step>(job, x, chunk, ring, from, to, ahead.share(from - first, to - from, all));
      made = to;
    }
    filter_rows<typename Step::Element>(job, scratch, chunk, ring,
                                        filtered + (row - begin) * s.out_w * plan.filtered_vector, row, last);
  }
  return made;
}

FilterChunk filter_chunk_f32() { return filter_chunk<FloatStep>; }

// Null where the instruction set has no such products.
FilterChunk filter_chunk_bf16() {
#if PILA_BFLOAT16
  return filter_chunk<BFloat16Step>;
#else
  return nullptr;
#endif
}

FilterChunk filter_chunk_i8() {
  return with_int8_step(has_dot_products(),
                        [](auto step) -> FilterChunk { return filter_chunk<decltype(step)>; });
}

// Where there is no project: the filtered pixels as they are.
void copy_pixels(const BlockJob& job, const float* filtered, std::int64_t pixel, std::int64_t pixels) {
  const std::int64_t channels = job.args.depthwise.out_c;
  const std::int64_t plane = job.plan.filtered_plane(job.args.depthwise.out_w);
  float* to = static_cast<float*>(job.args.y) + pixel * channels;
  for (std::int64_t i = 0; i < pixels; ++i, filtered += kLanes, to += channels) {
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      const auto v = hn::LoadU(FloatTag(), filtered + c / kLanes * plane);
      if (c + kLanes <= channels) {
        hn::StoreU(v, FloatTag(), to + c);
      } else {
        store_partial(v, FloatTag(), to + c, static_cast<std::size_t>(channels - c));
      }
    }
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/families.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(clear_borders);
HWY_EXPORT(filter_chunk_f32);
HWY_EXPORT(filter_chunk_bf16);
HWY_EXPORT(filter_chunk_i8);
HWY_EXPORT(copy_pixels);

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
    filtered_size = round_up(plan.planes * plan.filtered_plane(args.depthwise.out_w), 16);
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
               reinterpret_cast<Element*>(to), job.plan.expand_depth);
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
       plan.filtered_plane(job.args.depthwise.out_w), plan.planes, plan.filtered_vector},
      {static_cast<float*>(job.args.y) + at, residual == nullptr ? nullptr : residual + at, job.args.out_c,
       job.args.out_c, job.args.project.activation},
      ahead);
}

template <class Element>
FilterChunk filter_chunk() {
  if constexpr (std::is_same_v<Element, float>) {
    return HWY_DYNAMIC_DISPATCH(filter_chunk_f32)();
  } else if constexpr (std::is_same_v<Element, Int8Quad>) {
    return HWY_DYNAMIC_DISPATCH(filter_chunk_i8)();
  } else {
    return HWY_DYNAMIC_DISPATCH(filter_chunk_bf16)();
  }
}

template <class Element>
void run_bands(const BlockJob& job, const Memory& memory, ThreadPool& pool) {
  const auto clear = HWY_DYNAMIC_DISPATCH(clear_borders);
  const FilterChunk filter = filter_chunk<Element>();
  const auto copy = HWY_DYNAMIC_DISPATCH(copy_pixels);
  const InvertedResidualPlan& plan = job.plan;
  const ConvShape& s = job.args.depthwise;
  const Tasks& tasks = memory.tasks;
  pool.run(s.batch * tasks.bands, [&](std::int64_t task, int worker) {
    const std::int64_t image = task / tasks.bands, first = task % tasks.bands * tasks.rows;
    const std::int64_t last = std::min(s.out_h, first + tasks.rows);
    const BlockScratch scratch = memory.of(worker);
    clear(job, scratch);
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
      if (job.args.project.w == nullptr) copy(job, scratch.filtered, pixel, pixels);
    }
  });
}

template <class Element>
void run_chunks(const BlockJob& job, const Memory& memory, ThreadPool& pool) {
  constexpr std::int64_t kPixels = 32;  // of a task
  const auto clear = HWY_DYNAMIC_DISPATCH(clear_borders);
  const FilterChunk filter = filter_chunk<Element>();
  const auto copy = HWY_DYNAMIC_DISPATCH(copy_pixels);
  const InvertedResidualPlan& plan = job.plan;
  const ConvShape& s = job.args.depthwise;
  const Split pixels(s.out_h * s.out_w, kPixels);
  for (std::int64_t image = 0; image < s.batch; ++image) {
    const InputRows x = input_rows<Element>(job, image, 0, job.bottom(s.out_h), memory.rounded);
    pool.run(plan.chunks.count, [&](std::int64_t chunk, int worker) {
      const BlockScratch scratch = memory.of(worker);
      clear(job, scratch);
      filter(job, scratch, x, chunk, 0, s.out_h, 0, weights_ahead(job, chunk + pool.threads()));
    });
    const bool projects = job.args.project.w != nullptr;
    pool.run(pixels.count * (projects ? plan.project.vectors.count : 1), [&](std::int64_t task, int) {
      const std::int64_t part = task % pixels.count, first = pixels.begin(part), count = pixels.size(part);
      const float* from = memory.filtered + first * plan.filtered_vector;
      const std::int64_t pixel = image * s.out_h * s.out_w + first;
      if (projects) {
        const std::int64_t panel = task / pixels.count;
        const Ahead ahead = weights_ahead(job, plan.chunks.count + panel + 1);
        project_panel<Element>(job, panel, from, pixel, count, ahead.share(part, 1, pixels.count));
      } else {
        copy(job, from, pixel, count);
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
  table.inverted_residual.add(kernel<Int8Quad>("inverted_residual_i8"));
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
