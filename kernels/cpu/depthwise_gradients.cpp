// All gradients of a depthwise convolution with a 3x3 window, row by row. See depthwise_gradients.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/depthwise_gradients.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/activation_gradient.h"
#include "kernels/cpu/depthwise_gradients.h"
#include "kernels/cpu/depthwise_gradients_walk.h"
#include "kernels/cpu/normalise.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// A row of outputs on its way into the ring.
struct SlopeRow {
  const float* y;  // null where there is no activation
  const float* dy;
  std::size_t pixel;                     // from one column to the next
  std::int64_t before, columns, behind;  // of the ring: those outside are zero
};

// One vector of channels. total: null where the row's sums are another task's.
template <Activation kKind, class Lanes>
HWY_INLINE void through_slope(Lanes lanes, const SlopeRow& row, std::size_t channel, float* g, float* total) {
  const FloatTag d;
  auto sum = hn::Zero(d);
  std::size_t at = channel;
  for (std::int64_t t = 0; t < row.before; ++t, g += kFloatLanes) hn::StoreU(hn::Zero(d), d, g);
  for (std::int64_t t = 0; t < row.columns; ++t, at += row.pixel, g += kFloatLanes) {
    auto v = lanes.load(row.dy + at);
    if (kKind != Activation::none) v = gradient_from_kept<kKind>(d, lanes.load(row.y + at), v);
    sum = hn::Add(sum, v);
    hn::StoreU(v, d, g);
  }
  for (std::int64_t t = 0; t < row.behind; ++t, g += kFloatLanes) hn::StoreU(hn::Zero(d), d, g);
  if (total != nullptr) hn::StoreU(hn::Add(hn::LoadU(d, total), sum), d, total);
}

template <class Lanes>
HWY_INLINE void through_slope(Lanes lanes, Activation kind, const SlopeRow& row, std::size_t channel,
                              float* g, float* total) {
  switch (kind) {
    case Activation::relu:
      return through_slope<Activation::relu>(lanes, row, channel, g, total);
    case Activation::relu6:
      return through_slope<Activation::relu6>(lanes, row, channel, g, total);
    case Activation::sigmoid:
      return through_slope<Activation::sigmoid>(lanes, row, channel, g, total);
    default:
      return through_slope<Activation::none>(lanes, row, channel, g, total);
  }
}

// A column's neighbouring channels are written a whole row later: what is less than a cache line must wait
// for them in a cache.
constexpr bool kVectorsAreLines = kFloatLanes * sizeof(float) == 64;

template <bool kDx, bool kDw, class Lanes>
HWY_INLINE void walk_along(Lanes lanes, std::int64_t stride, GradientWalk& walk,
                           const GradientVector& vector) {
  if (stride == 1) {
    WalkOnes<kDx, kDw, Lanes>(lanes, walk, vector).run();
  } else {
    WalkPairs<kDx, kDw, Lanes>(lanes, walk, vector).run();
  }
}

class GradientRows {
 public:
  GradientRows(const DepthwiseGradients& args, const GradientTask& task, const GradientRing& ring,
               float* sums, bool past_caches)
      : args_(args),
        task_(task),
        ring_(ring),
        sums_(sums),
        past_caches_(past_caches && kVectorsAreLines),
        axes_(args.shape),
        channels_(args.shape.in_c),
        prologue_(args.prologue, channels_),
        width_(axes_.ring_columns()),
        row_(width_ * round_up(task.channel_end - task.channel_begin, kFloatLanes)),
        sums_tap_(gradient_sums_tap(channels_)) {}

  void run() {
    std::fill_n(ring_row(-1), row_, 0.0f);
    const GradientAxis& rows = axes_.rows;
    for (std::int64_t image = task_.image_begin; image < task_.image_end; ++image) {
      for (std::int64_t oh = rows.oldest(task_.step_begin); oh < rows.newest(task_.step_begin); ++oh) {
        make(image, oh, task_.step_begin == 0);
      }
      const std::int64_t each = axes_.steps_each();
      for (std::int64_t step = task_.step_begin; step < task_.step_end; step += each) {
        const std::int64_t end = std::min(step + each, task_.step_end);
        for (std::int64_t i = step; i < end; ++i) make(image, rows.newest(i), true);
        if (args_.dx != nullptr || args_.dw != nullptr) walk(image, step, end);
      }
    }
    if (past_caches_) finish_past_caches();
  }

 private:
  // Row `oh` in the ring; zeros where there is none.
  float* ring_row(std::int64_t oh) const {
    const bool exists = oh >= 0 && oh < axes_.rows.out;
    return ring_.g + row_ * (exists ? oh % axes_.ring_rows() : axes_.ring_rows());
  }

  // Calls body(lanes, first channel) for each vector.
  template <class Body>
  HWY_INLINE void for_vectors(const Body& body) const {
    std::int64_t c = task_.channel_begin;
    constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);
    for (; c + kLanes <= task_.channel_end; c += kLanes) body(AllLanes(), c);
    if (c < task_.channel_end) body(FirstLanes{static_cast<std::size_t>(task_.channel_end - c)}, c);
  }

  // Puts the gradients of row `oh` of the outputs into the ring; own: and adds them to the bias's sums.
  void make(std::int64_t image, std::int64_t oh, bool own) {
    const GradientAxis& columns = axes_.columns;
    if (oh < 0 || oh >= axes_.rows.out) return;
    const std::int64_t at = (image * axes_.rows.out + oh) * columns.out * channels_;
    SlopeRow row;
    row.y = args_.activation == Activation::none ? nullptr : static_cast<const float*>(args_.y) + at;
    row.dy = static_cast<const float*>(args_.dy) + at;
    row.pixel = static_cast<std::size_t>(channels_);
    row.before = -columns.oldest(0);
    row.columns = columns.out;
    row.behind = width_ - row.before - row.columns;
    float* g = ring_row(oh);
    for_vectors([&](auto lanes, std::int64_t c) HWY_ATTR {
      through_slope(lanes, args_.activation, row, static_cast<std::size_t>(c),
                    g + (c - task_.channel_begin) * width_, own ? sums_ + 9 * sums_tap_ + c : nullptr);
    });
  }

  // Row `ih` of x, behind the prologue: then it lies in row `place` of the worker's memory.
  const float* read_row(std::int64_t image, std::int64_t ih, std::int64_t place) const {
    if (args_.dw == nullptr) return nullptr;
    const std::int64_t size = axes_.columns.in * channels_;
    const float* x = static_cast<const float*>(args_.x) + (image * axes_.rows.in + ih) * size;
    if (!prologue_.exists()) return x;
    float* made = ring_.x + place * size;
    prologue_.run(x, axes_.columns.in, task_.channel_begin, task_.channel_end - task_.channel_begin,
                  made + task_.channel_begin, channels_);
    return made;
  }

  float* dx_row(std::int64_t image, std::int64_t ih) const {
    if (args_.dx == nullptr) return nullptr;
    return static_cast<float*>(args_.dx) + (image * axes_.rows.in + ih) * axes_.columns.in * channels_;
  }

  // What will be read behind step `end`, where the task takes all channels: of this image or the next.
  GradientAhead next(std::int64_t image, std::int64_t end) const {
    if (task_.channel_end - task_.channel_begin < channels_) return {};
    const auto rows_of = [&](const void* tensor, std::int64_t rows, std::int64_t size, std::int64_t first,
                             std::int64_t count) -> Ahead {
      if (tensor == nullptr) return {};
      const std::int64_t begin = image * rows + std::min(first, rows);
      const std::int64_t behind = std::min(begin + count, args_.shape.batch * rows);
      return {static_cast<const float*>(tensor) + begin * size,
              static_cast<const float*>(tensor) + behind * size};
    };
    const GradientAxis &rows = axes_.rows, &columns = axes_.columns;
    const std::int64_t count = axes_.steps_each(), made = rows.newest(end);
    const std::int64_t x_size = columns.in * channels_, y_size = columns.out * channels_;
    return {rows_of(args_.dw == nullptr ? nullptr : args_.x, rows.in, x_size, rows.first(end),
                    count * rows.stride),
            rows_of(args_.y, rows.out, y_size, made, count),
            rows_of(args_.dy, rows.out, y_size, made, count)};
  }

  // Steps [begin, end).
  void walk(std::int64_t image, std::int64_t begin, std::int64_t end) {
    const GradientAxis &rows = axes_.rows, &columns = axes_.columns;
    const std::int64_t first_column = columns.stride == 2 ? columns.pad / 2 : 0;  // the first with an input
    const std::int64_t x_offset = columns.first(first_column) * channels_;
    GradientWalk walk{};
    for (std::int64_t i = 0; i < end - begin; ++i) {
      GradientWalk::Step& step = walk.steps[i];
      for (std::int64_t r = 0; r < rows.stride; ++r) {
        const std::int64_t ih = rows.first(begin + i) + r;
        step.inside[r] = ih >= 0 && ih < rows.in;
        if (!step.inside[r]) continue;
        step.x[r] = read_row(image, ih, i * rows.stride + r);
        step.dx[r] = dx_row(image, ih);
        if (args_.dw != nullptr) step.x[r] += x_offset;
        if (args_.dx != nullptr) step.dx[r] += x_offset;
      }
    }
    for (std::int64_t i = 0; i < end - begin + rows.older(); ++i) {
      walk.g[i] = ring_row(rows.oldest(begin) + i) + first_column * static_cast<std::int64_t>(kFloatLanes);
    }
    walk.count = end - begin;
    walk.columns = columns.steps() - first_column;
    walk.pixel = static_cast<std::size_t>(channels_);
    walk.left_outside = columns.first(first_column) < 0;
    walk.right_outside = columns.first(columns.steps()) > columns.in;
    walk.ahead = next(image, end);
    for_vectors([&](auto lanes, std::int64_t c) HWY_ATTR {
      walk_vector(lanes, walk,
                  {static_cast<std::size_t>(c), static_cast<std::size_t>((c - task_.channel_begin) * width_),
                   static_cast<const float*>(args_.w) + c, static_cast<std::size_t>(channels_), sums_ + c,
                   static_cast<std::size_t>(sums_tap_)});
    });
  }

  HWY_INLINE void walk_vector(AllLanes lanes, GradientWalk& walk, const GradientVector& vector) const {
    past_caches_ ? walk_either(AllLanesPastCaches(), walk, vector) : walk_either(lanes, walk, vector);
  }
  HWY_INLINE void walk_vector(FirstLanes lanes, GradientWalk& walk, const GradientVector& vector) const {
    walk_either(lanes, walk, vector);
  }
  template <class Lanes>
  HWY_INLINE void walk_either(Lanes lanes, GradientWalk& walk, const GradientVector& vector) const {
    const std::int64_t stride = axes_.columns.stride;
    const bool dx = args_.dx != nullptr, dw = args_.dw != nullptr;
    if (dx && dw) {
      walk_along<true, true>(lanes, stride, walk, vector);
    } else if (dx) {
      walk_along<true, false>(lanes, stride, walk, vector);
    } else {
      walk_along<false, true>(lanes, stride, walk, vector);
    }
  }

  const DepthwiseGradients& args_;
  const GradientTask& task_;
  const GradientRing& ring_;
  float* const sums_;
  const bool past_caches_;
  const GradientAxes axes_;
  const std::int64_t channels_;
  const RowPrologue prologue_;
  const std::int64_t width_, row_;  // of a ring's row: columns, and numbers
  const std::int64_t sums_tap_;
};

void gradients_task(const DepthwiseGradients& args, const GradientTask& task, const GradientRing& ring,
                    float* sums, bool past_caches) {
  GradientRows(args, task, ring, sums, past_caches).run();
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/past_caches.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(gradients_task);

bool supports(const DepthwiseGradients& args) {
  const Window& window = args.shape.window;
  const GradientAxes axes(args.shape);
  return is_plain_depthwise(args.type, args.shape) && args.activation != Activation::silu &&
         window.kernel_h == 3 && window.kernel_w == 3 && window.dilation_h == 1 && window.dilation_w == 1 &&
         window.stride_h == window.stride_w && axes.rows.fits() && axes.columns.fits();
}

struct GradientScratch {
  GradientScratch(const DepthwiseGradients& args, const GradientTasks& tasks, int threads, void* memory) {
    const ConvShape& shape = args.shape;
    const GradientAxes axes(shape);
    const std::int64_t channels = gradient_sums_tap(shape.in_c);
    Scratch scratch(memory);
    sums_size = kGradientSums * channels;
    sums = scratch.take<float>(tasks.sums() * sums_size);
    g_size = (axes.ring_rows() + 1) * axes.ring_columns() * channels;
    g = scratch.take<float>(threads * g_size);
    x_size =
        args.prologue.scaling == nullptr ? 0 : axes.steps_each() * axes.rows.stride * shape.in_w * shape.in_c;
    x = scratch.take<float>(threads * x_size);
    bytes = scratch.bytes();
  }
  GradientRing ring(int worker) const { return {g + worker * g_size, x + worker * x_size}; }

  float* sums;
  float* g;
  float* x;
  std::int64_t sums_size, g_size, x_size;
  std::size_t bytes;
};

std::size_t workspace_bytes(const DepthwiseGradients& args, const Stream& stream) {
  return GradientScratch(args, GradientTasks(args.shape), pool_of(stream).threads(), nullptr).bytes;
}

Status gradients(const DepthwiseGradients& args, const Launch& launch) {
  auto& pool = pool_of(*launch.stream);
  const ConvShape& shape = args.shape;
  const GradientTasks tasks(shape);
  const GradientScratch scratch(args, tasks, pool.threads(), launch.workspace);
  const auto run = HWY_DYNAMIC_DISPATCH(gradients_task);
  const bool past_caches = goes_past_caches(static_cast<const float*>(args.dx),
                                            shape.batch * shape.in_h * shape.in_w * shape.in_c, shape.in_c);
  const std::int64_t tap = gradient_sums_tap(shape.in_c);
  pool.run(tasks.count(), [&](std::int64_t index, int worker) {
    const GradientTask task = tasks[index];
    float* sums = scratch.sums + task.sums * scratch.sums_size;
    const std::int64_t behind = task.channel_end == shape.in_c ? tap : task.channel_end;
    for (std::int64_t i = 0; i < kGradientSums; ++i) {
      std::fill(sums + i * tap + task.channel_begin, sums + i * tap + behind, 0.0f);
    }
    run(args, task, scratch.ring(worker), sums, past_caches);
  });

  const auto total = [&](std::int64_t first, std::int64_t count, float* result) {
    constexpr std::int64_t kPart = 1024;
    run_pieces(pool, count, kPart, [&](std::int64_t begin, std::int64_t end) {
      double sums[kPart] = {};
      for (std::int64_t i = 0; i < tasks.sums(); ++i) {
        const float* own = scratch.sums + i * scratch.sums_size + first + begin;
        for (std::int64_t c = 0; c < end - begin; ++c) sums[c] += own[c];
      }
      for (std::int64_t c = begin; c < end; ++c) result[c] = static_cast<float>(sums[c - begin]);
    });
  };
  for (std::int64_t i = 0; i < 9 && args.dw != nullptr; ++i) {
    total(i * tap, shape.in_c, static_cast<float*>(args.dw) + i * shape.in_c);
  }
  if (args.dbias != nullptr) total(9 * tap, shape.in_c, static_cast<float*>(args.dbias));
  return nullptr;
}

}  // namespace

Kernel<DepthwiseGradients> depthwise_gradients_kernel() {
  return {"depthwise_gradients_f32", supports, workspace_bytes, gradients};
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
