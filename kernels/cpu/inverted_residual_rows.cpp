#include "kernels/cpu/inverted_residual_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/inverted_residual_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/bounds.h"
#include "kernels/cpu/depthwise_rows.h"
#include "kernels/cpu/product_tile.h"
#include "kernels/cpu/simd_activation.h"
#include "kernels/cpu/tiled_product.h"

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

// Zeros where the last plane of the filtered tensor has room for more channels than there are.
void clear_last_plane(const BlockJob& job, const BlockScratch& scratch) {
  const std::int64_t size = job.plan.filtered_plane(job.args.depthwise.out_w);
  std::fill_n(scratch.filtered + (job.plan.filtered_planes() - 1) * size, size, 0.0f);
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

// Where row `row` of x goes in a plane of the ring.
float* ring_row(const BlockJob& job, float* ring, std::int64_t row) {
  return ring + row % job.plan.ring_rows * job.plan.row_size() + job.args.depthwise.window.pad_left * kLanes;
}

// Expands rows [begin, end) of x, given at `begin`, to kVectors planes of the ring.
template <class Step, int kVectors>
void expand_rows(const BlockJob& job, const typename Step::Element* x, const float* weights, float* ring,
                 std::int64_t begin, std::int64_t end, const Ahead& ahead) {
  const std::int64_t depth = job.plan.expand_depth, plane = job.plan.ring_rows * job.plan.row_size();
  const TilePanel<typename Step::Element> panel(weights, kVectors * kLanes);
  const PanelHead<Step, kVectors> head(panel.head);
  const Bounds bounds(job.args.expand.activation);
  const auto low = hn::Set(FloatTag(), bounds.low), high = hn::Set(FloatTag(), bounds.high);
  const std::int64_t width = job.args.depthwise.in_w;
  for (std::int64_t row = begin; row < end; ++row, x += width * depth) {
    float* const at = ring_row(job, ring, row);
    const Ahead wanted = ahead.share(row - begin, 1, end - begin);
    for_tiles<kVectors>(width, [&](auto height, std::int64_t pixel) {
      constexpr int kRows = height;
      float* const to = at + pixel * kLanes;
      product_tile<Step, kRows, kVectors, 0>(
          {x + pixel * depth, depth, 0, 1, depth}, panel.b, wanted.share(pixel, kRows, width), head,
          [=](int r, int v, typename Step::Sum sum) {
            hn::StoreU(clamp(low, high, head.number(sum, v)), FloatTag(), to + r * kLanes + v * plane);
          });
    });
  }
}

#if PILA_MATRIX_UNIT

// Where sums of pixels go in the ring.
template <class Step, int kVectors>
struct TiledPixels {
  void begin(std::int64_t, std::int64_t count) {
    for (std::int64_t r = 0; r < count; ++r) to[r] = cursor.next();
  }
  HWY_INLINE void operator()(int r, int v, typename Step::Sum sum) const {
    hn::StoreU(clamp(low, high, head.number_from_zero(sum, v)), FloatTag(), to[r] + v * plane);
  }

  const PanelHead<Step, kVectors> head;
  const FloatVector low, high;
  const std::ptrdiff_t plane;
  RingCursor cursor;
  float* to[kTileRows];
};

// The same by the matrix unit.
template <class Step, int kVectors>
void expand_tiled(const BlockJob& job, const typename Step::Element* x, const float* weights, float* ring,
                  std::int64_t begin, std::int64_t end, const Ahead& ahead) {
  const std::int64_t depth = job.plan.expand_depth;
  const TilePanel<typename Step::Element> panel(weights, kVectors * kLanes);
  const Bounds bounds(job.args.expand.activation);
  tiled_product<Step, kVectors>((end - begin) * job.args.depthwise.in_w, {x, depth, 0, 1, depth}, panel.b,
                                ahead,
                                TiledPixels<Step, kVectors>{PanelHead<Step, kVectors>(panel.head),
                                                            hn::Set(FloatTag(), bounds.low),
                                                            hn::Set(FloatTag(), bounds.high),
                                                            job.plan.ring_rows * job.plan.row_size(),
                                                            RingCursor(job, ring, begin),
                                                            {}});
}

#endif

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
  constexpr int kMost =
      std::is_same_v<typename Step::Element, float> ? HWY_MIN(kChunkVectors, kMaxVectors) : kMaxVectors;
  with_constant<kMost>(static_cast<int>(planes), [&](auto vectors) {
    const float* weights = job.weights + plan.chunk_at(chunk);
#if PILA_MATRIX_UNIT
    if constexpr (Step::kTiled)
      return expand_tiled<Step, vectors>(job, from, weights, ring, begin, end, ahead);
#endif
    if constexpr (!Step::kTiled) expand_rows<Step, vectors>(job, from, weights, ring, begin, end, ahead);
  });
  if (!Bounds(job.args.expand.activation).smooth) return;
  for (std::int64_t v = 0; v < planes; ++v) {
    for (std::int64_t row = begin; row < end; ++row) {
      float* at = ring_row(job, ring + v * plan.ring_rows * plan.row_size(), row);
      activate_range(job.args.expand.activation, at, s.in_w * kLanes);
    }
  }
}

// Output rows [begin, end) of a chunk; filtered: where `begin` goes in the first plane.
template <class Element>
void filter_rows(const BlockJob& job, const BlockScratch& scratch, std::int64_t chunk, const float* ring,
                 float* filtered, std::int64_t begin, std::int64_t end) {
  const ConvShape& s = job.args.depthwise;
  const InvertedResidualPlan& plan = job.plan;
  const Bounds bounds(job.args.depthwise_activation);
  const Quantization& by = job.args.project.rounding.a;
  const bool rounds = plan.rounds_filtered();
  constexpr std::int64_t kMostInRows = 7;
  const float* rows[kMostInRows];
  DepthwiseRows work;
  work.x = rows;
  work.w = job.weights + plan.chunk_at(chunk) + plan.chunks.size(chunk) * plan.expand_size();
  work.low = bounds.low;
  work.high = bounds.high;
  work.columns = s.out_w;
  const int kernel = static_cast<int>(plan.kernel), stride = static_cast<int>(plan.stride);
  for (std::int64_t v = 0; v < plan.chunks.size(chunk); ++v) {
    const float* plane = ring + v * plan.ring_rows * plan.row_size();
    float* to = filtered + plan.filtered_at(plan.chunks.begin(chunk) + v, s.out_w);
    for (std::int64_t row = begin; row < end; row += 2) {
      const int count = row + 2 <= end ? 2 : 1;
      const std::int64_t top = row * stride - s.window.pad_top;
      for (std::int64_t r = 0; r < (count - 1) * stride + kernel; ++r) {
        const bool inside = top + r >= 0 && top + r < s.in_h;
        rows[r] = inside ? plane + (top + r) % plan.ring_rows * plan.row_size() : scratch.zeros;
      }
      auto* elements = reinterpret_cast<Element*>(to);
      if (rounds && !bounds.smooth) {
        depthwise_rows_kernel<Element>(kernel, stride, count)(
            work, {Rounding<Element>(by), elements, s.out_w * plan.filtered_vector, plan.filtered_vector});
      } else {
        float* y = rounds ? scratch.filtered_rows : to;
        depthwise_rows_kernel<float>(kernel, stride, count)(
            work, {Rounding<float>(by), y, s.out_w * kLanes, kLanes});
        if (bounds.smooth) activate_range(job.args.depthwise_activation, y, count * s.out_w * kLanes);
        if constexpr (!std::is_same_v<Element, float>) {
          if (rounds) {
            round_rows(y, count * s.out_w, kLanes, by, elements, plan.filtered_vector / plan.joined,
                       plan.filtered_vector);
          }
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
  const std::int64_t first = job.top(begin, made), all = job.bottom(end) - first;
  if (chunk + 1 == plan.chunks.count && plan.planes % plan.joined != 0) clear_last_plane(job, scratch);
  for (std::int64_t row = begin; row < end; row += plan.step_rows) {
    const std::int64_t last = HWY_MIN(end, row + plan.step_rows);
    const std::int64_t from = job.top(row, made), to = job.bottom(last);
    if (from < to) {
      make_rows<Step>(job, x, chunk, ring, from, to, ahead.share(from - first, to - from, all));
      made = to;
    }
    float* filtered = scratch.filtered + (row - begin) * s.out_w * plan.filtered_vector;
    filter_rows<typename Step::Element>(job, scratch, chunk, ring, filtered, row, last);
  }
  return made;
}

FilterChunk filter_chunk_f32(bool) { return filter_chunk<FloatStep>; }

// Null where the instruction set has no such products.
FilterChunk filter_chunk_bf16([[maybe_unused]] bool tiled) {
#if PILA_MATRIX_UNIT
  if (tiled) return filter_chunk<TileStep<BFloat16Pair>>;
#endif
#if PILA_BFLOAT16
  return filter_chunk<BFloat16Step>;
#else
  return nullptr;
#endif
}

FilterChunk filter_chunk_quads([[maybe_unused]] bool tiled) {
#if PILA_MATRIX_UNIT
  if (tiled) return filter_chunk<TileStep<Int8Quad>>;
#endif
#if PILA_DOT_PRODUCTS
  return filter_chunk<Int8DotStep>;
#else
  return nullptr;
#endif
}

FilterChunk filter_chunk_pairs(bool) {
#if PILA_NO_DOT_PRODUCTS
  return filter_chunk<Int8PairStep>;
#else
  return nullptr;
#endif
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
namespace pila::kernels::cpu {

HWY_EXPORT(clear_borders);
HWY_EXPORT(filter_chunk_f32);
HWY_EXPORT(filter_chunk_bf16);
HWY_EXPORT(filter_chunk_quads);
HWY_EXPORT(filter_chunk_pairs);
HWY_EXPORT(copy_pixels);

template <>
FilterChunk filter_chunk<float>(bool tiled) {
  return HWY_DYNAMIC_DISPATCH(filter_chunk_f32)(tiled);
}
template <>
FilterChunk filter_chunk<BFloat16Pair>(bool tiled) {
  return HWY_DYNAMIC_DISPATCH(filter_chunk_bf16)(tiled);
}
template <>
FilterChunk filter_chunk<Int8Quad>(bool tiled) {
  return HWY_DYNAMIC_DISPATCH(filter_chunk_quads)(tiled);
}
template <>
FilterChunk filter_chunk<Int8Pair>(bool tiled) {
  return HWY_DYNAMIC_DISPATCH(filter_chunk_pairs)(tiled);
}

void clear_borders(const BlockJob& job, const BlockScratch& scratch) {
  HWY_DYNAMIC_DISPATCH(clear_borders)(job, scratch);
}

void copy_pixels(const BlockJob& job, const float* filtered, std::int64_t pixel, std::int64_t pixels) {
  HWY_DYNAMIC_DISPATCH(copy_pixels)(job, filtered, pixel, pixels);
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
