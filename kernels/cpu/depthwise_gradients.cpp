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

// A stretch of a row of outputs, one vector of channels, on its way into the ring.
struct SlopeStretch {
  const float* y;  // null where there is no activation
  const float* dy;
  std::size_t pixel;  // from one column to the next
  std::int64_t columns;
  float* g;
  float* sum;  // null where the row is another task's
};

template <Activation kKind, class Lanes>
HWY_INLINE void through_slope(Lanes lanes, const SlopeStretch& stretch) {
  const FloatTag d;
  auto sum = hn::Zero(d);
  std::size_t at = 0;
  float* g = stretch.g;
  for (std::int64_t t = 0; t < stretch.columns; ++t, at += stretch.pixel, g += kFloatLanes) {
    auto v = lanes.load(stretch.dy + at);
    if (kKind != Activation::none) v = gradient_from_kept<kKind>(d, lanes.load(stretch.y + at), v);
    sum = hn::Add(sum, v);
    hn::StoreU(v, d, g);
  }
  if (stretch.sum != nullptr) hn::StoreU(hn::Add(hn::LoadU(d, stretch.sum), sum), d, stretch.sum);
}

template <class Lanes>
HWY_INLINE void through_slope(Lanes lanes, Activation kind, const SlopeStretch& stretch) {
  switch (kind) {
    case Activation::relu:
      return through_slope<Activation::relu>(lanes, stretch);
    case Activation::relu6:
      return through_slope<Activation::relu6>(lanes, stretch);
    case Activation::sigmoid:
      return through_slope<Activation::sigmoid>(lanes, stretch);
    default:
      return through_slope<Activation::none>(lanes, stretch);
  }
}

// Where nine weights, nine sums and a window of nine numbers do not all find a register.
constexpr bool kFewRegisters = HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3;

template <bool kDx, bool kDw, class Lanes>
HWY_INLINE void walk(Lanes lanes, const GradientStretch& stretch) {
  if (stretch.g[2] != nullptr) {
    walk_ones<kDx, kDw>(lanes, stretch);
  } else if (!stretch.inside[0]) {
    WalkPairs<kDx, kDw, false, true, Lanes>(lanes, stretch).run();
  } else if (!stretch.inside[1]) {
    WalkPairs<kDx, kDw, true, false, Lanes>(lanes, stretch).run();
  } else {
    WalkPairs<kDx, kDw, true, true, Lanes>(lanes, stretch).run();
  }
}

template <class Lanes>
HWY_INLINE void walk(Lanes lanes, bool dx, bool dw, const GradientStretch& stretch) {
  if (dx && dw && !kFewRegisters) return walk<true, true>(lanes, stretch);
  if (dx) walk<true, false>(lanes, stretch);
  if (dw) walk<false, true>(lanes, stretch);
}

// Columns at a time: their numbers stay in the first-level cache while all channels go by.
constexpr std::int64_t kStretch = 16;

class GradientRows {
 public:
  GradientRows(const DepthwiseGradients& args, const GradientTask& task, const GradientRing& ring,
               float* sums, bool past_caches)
      : args_(args),
        task_(task),
        ring_(ring),
        sums_(sums),
        past_caches_(past_caches),
        axes_(args.shape),
        channels_(args.shape.in_c),
        prologue_(args.prologue, channels_),
        width_(axes_.ring_columns()),
        row_(width_ * round_up(task.channel_end - task.channel_begin, kFloatLanes)) {}

  void run() {
    std::fill_n(ring_.g, (axes_.ring_rows() + 1) * row_, 0.0f);
    const GradientAxis& rows = axes_.rows;
    for (std::int64_t image = task_.image_begin; image < task_.image_end; ++image) {
      for (std::int64_t oh = rows.oldest(task_.step_begin); oh < rows.newest(task_.step_begin); ++oh) {
        make(image, oh, task_.step_begin == 0);
      }
      for (std::int64_t step = task_.step_begin; step < task_.step_end; ++step) {
        make(image, rows.newest(step), true);
        if (args_.dx != nullptr || args_.dw != nullptr) walk_step(image, step);
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

  // Puts the gradients of row `oh` of the outputs into the ring.
  void make(std::int64_t image, std::int64_t oh, bool own) {
    const GradientAxis& columns = axes_.columns;
    if (oh < 0 || oh >= axes_.rows.out) return;
    const std::int64_t start = (image * axes_.rows.out + oh) * columns.out;
    float* g = ring_row(oh) - columns.oldest(0) * static_cast<std::int64_t>(kFloatLanes);
    const Blocks stretches(columns.out, kStretch, 1);
    for (std::int64_t i = 0; i < stretches.count; ++i) {
      const std::int64_t ow = stretches.begin(i);
      const std::int64_t at = (start + ow) * channels_;
      for_vectors([&](auto lanes, std::int64_t c) HWY_ATTR {
        SlopeStretch stretch;
        stretch.y = static_cast<const float*>(args_.y) + at + c;
        stretch.dy = static_cast<const float*>(args_.dy) + at + c;
        stretch.pixel = static_cast<std::size_t>(channels_);
        stretch.columns = stretches.end(i) - ow;
        stretch.g = g + (c - task_.channel_begin) * width_ + ow * static_cast<std::int64_t>(kFloatLanes);
        stretch.sum = own ? sums_of(c) + 9 * sums_tap() : nullptr;
        through_slope(lanes, args_.activation, stretch);
      });
    }
  }

  std::int64_t sums_tap() const { return gradient_sums_tap(channels_); }
  float* sums_of(std::int64_t channel) const { return sums_ + channel; }

  // Row `ih` of x, behind the prologue.
  const float* read_row(std::int64_t image, std::int64_t ih) {
    const std::int64_t size = axes_.columns.in * channels_;
    const float* x = static_cast<const float*>(args_.x) + (image * axes_.rows.in + ih) * size;
    if (args_.dw == nullptr || !prologue_.exists()) return x;
    float* made = ring_.x + ih % 2 * size;
    prologue_.run(x, axes_.columns.in, task_.channel_begin, task_.channel_end - task_.channel_begin,
                  made + task_.channel_begin, channels_);
    return made;
  }

  // What will be read behind step `step`, all channels of it.
  GradientAhead next(std::int64_t image, std::int64_t step) const {
    if (task_.channel_end - task_.channel_begin < channels_) return {};
    const auto some = [&](const void* from, std::int64_t count, std::int64_t size, std::int64_t begin,
                          std::int64_t end) -> Ahead {
      if (from == nullptr) return {};
      const float* image_begin = static_cast<const float*>(from) + image * count * size;
      return {image_begin + std::min(begin, count) * size, image_begin + std::min(end, count) * size};
    };
    const GradientAxis &rows = axes_.rows, &columns = axes_.columns;
    const std::int64_t x = rows.first(step + 1), y = rows.newest(step + 1);
    const std::int64_t x_size = columns.in * channels_, y_size = columns.out * channels_;
    return {some(args_.x, rows.in, x_size, x, x + rows.stride), some(args_.y, rows.out, y_size, y, y + 1),
            some(args_.dy, rows.out, y_size, y, y + 1)};
  }

  void walk_step(std::int64_t image, std::int64_t step) {
    const GradientAxis &rows = axes_.rows, &columns = axes_.columns;
    GradientStretch all{};
    for (int r = 0; r < rows.stride; ++r) {
      const std::int64_t ih = rows.first(step) + r;
      all.inside[r] = ih >= 0 && ih < rows.in;
      if (!all.inside[r]) continue;
      all.x[r] = read_row(image, ih);
      all.dx[r] = static_cast<float*>(args_.dx) + (image * rows.in + ih) * columns.in * channels_;
    }
    if (!all.inside[0] && !all.inside[1]) return;
    for (int r = 0; r < axes_.ring_rows(); ++r) all.g[r] = ring_row(rows.oldest(step) + r);
    all.pixel = static_cast<std::size_t>(channels_);
    all.w_tap = static_cast<std::size_t>(channels_);
    all.sums_tap = static_cast<std::size_t>(sums_tap());

    GradientAhead ahead = next(image, step);
    all.ahead = &ahead;
    const std::int64_t first_step = columns.stride == 2 ? columns.pad / 2 : 0;  // that holds a column
    const Blocks stretches(columns.steps() - first_step, kStretch, 1);
    for (std::int64_t i = 0; i < stretches.count; ++i) {
      const std::int64_t begin = first_step + stretches.begin(i), end = first_step + stretches.end(i);
      const std::int64_t at = columns.first(begin) * channels_;
      GradientStretch stretch = all;
      stretch.steps = end - begin;
      stretch.left_outside = columns.first(begin) < 0;
      stretch.right_outside = columns.first(end) > columns.in;
      for_vectors([&](auto lanes, std::int64_t c) HWY_ATTR {
        for (int r = 0; r < 2; ++r) {
          stretch.x[r] = all.x[r] + at + c;
          stretch.dx[r] = all.dx[r] + at + c;
        }
        for (int r = 0; r < axes_.ring_rows(); ++r) {
          stretch.g[r] =
              all.g[r] + (c - task_.channel_begin) * width_ + begin * static_cast<std::int64_t>(kFloatLanes);
        }
        stretch.w = static_cast<const float*>(args_.w) + c;
        stretch.sums = sums_of(c);
        walk_vector(lanes, stretch);
      });
    }
  }

  template <class Lanes>
  HWY_INLINE void walk_vector(Lanes lanes, const GradientStretch& stretch) {
    walk(lanes, args_.dx != nullptr, args_.dw != nullptr, stretch);
  }
  HWY_INLINE void walk_vector(AllLanes lanes, const GradientStretch& stretch) {
    const bool dx = args_.dx != nullptr, dw = args_.dw != nullptr;
    past_caches_ ? walk(AllLanesPastCaches(), dx, dw, stretch) : walk(lanes, dx, dw, stretch);
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
};

void gradients_task(const DepthwiseGradients& args, const GradientTask& task, const GradientRing& ring,
                    float* sums, bool past_caches) {
  GradientRows(args, task, ring, sums, past_caches).run();
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/families.h"
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
    x_size = args.prologue.scaling == nullptr ? 0 : 2 * shape.in_w * shape.in_c;
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

  const auto total = [&](std::int64_t at, std::int64_t count, float* result) {
    for (std::int64_t c = 0; c < count; ++c) {
      double sum = 0;
      for (std::int64_t i = 0; i < tasks.sums(); ++i) sum += scratch.sums[i * scratch.sums_size + at + c];
      result[c] = static_cast<float>(sum);
    }
  };
  if (args.dw != nullptr) {
    for (std::int64_t i = 0; i < 9; ++i)
      total(i * tap, shape.in_c, static_cast<float*>(args.dw) + i * shape.in_c);
  }
  if (args.dbias != nullptr) total(9 * tap, shape.in_c, static_cast<float*>(args.dbias));
  return nullptr;
}

}  // namespace

void add_depthwise_gradients_kernels(KernelTable& table) {
  table.depthwise_gradients.add({"depthwise_gradients_f32", supports, workspace_bytes, gradients});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
