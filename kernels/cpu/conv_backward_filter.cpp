// A convolution's gradient by its weights: for each tap and input channel, a sum over all pixels.
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/conv.h"
#include "kernels/cpu/gemm_columns.h"

namespace pila::kernels::cpu {
namespace {

const float* floats(const void* data) { return static_cast<const float*>(data); }

ColumnProblem problem_of(const ConvBackwardFilter& args) {
  const ConvShape& s = args.shape;
  ColumnProblem problem;
  problem.groups = s.groups;
  problem.m = s.window.kernel_h * s.window.kernel_w * (s.in_c / s.groups);
  problem.n = s.out_c / s.groups;
  problem.k = s.batch * s.out_h * s.out_w;
  problem.b = floats(args.dy);
  problem.c = static_cast<float*>(args.dw);
  return problem;
}

// Hands out what the weights in some rows of dw read: a row of numbers for each output pixel.
class PixelRows {
 public:
  PixelRows(const ConvBackwardFilter& args, const ColumnProduct& product, float* packed)
      : shape_(args.shape), x_(floats(args.x)), product_(product), packed_(packed) {}

  void views(std::int64_t group, std::int64_t row, std::int64_t end, std::int64_t pixel, std::int64_t count,
             int worker, RowsView* to) const {
    const std::int64_t stride = product_.block_rows(), width = product_.tile_rows();
    float* out = packed_ + worker * stride * ColumnProduct::kBlock;
    for (std::int64_t r = 0; row + r < end; r += width) *to++ = {out + r, stride};
    gather(group, row, end, pixel, count, stride, out);
  }

 private:
  // Channels of one tap, `to` numbers behind the row's begin.
  struct Segment {
    std::int64_t h, w, channel, count, to;
  };

  static constexpr std::int64_t kMaxRows = ColumnProduct::kRowTiles * kMaxTileRows;

  struct Segments {
    Segment single[kMaxRows], joined[kMaxRows];
    int count = 0, joined_count = 0;
  };

  // The segments of rows [row, end) of dw; how many there are.
  int cut(std::int64_t group, std::int64_t row, std::int64_t end, Segment* segments) const {
    const std::int64_t channels = shape_.in_c / shape_.groups;
    int count = 0;
    for (std::int64_t r = row; r < end;) {
      const std::int64_t tap = r / channels, channel = r % channels;
      const std::int64_t size = std::min(channels - channel, end - r);
      segments[count++] = {tap / shape_.window.kernel_w * shape_.window.dilation_h,
                           tap % shape_.window.kernel_w * shape_.window.dilation_w,
                           group * channels + channel, size, r - row};
      r += size;
    }
    return count;
  }

  std::int64_t offset(const Segment& segment) const {
    return (segment.h * shape_.in_w + segment.w) * shape_.in_c + segment.channel;
  }

  // Joins segments that are neighbours in an image; how many are left.
  int join(const Segment* segments, int count, Segment* joined) const {
    int left = 0;
    for (int i = 0; i < count; ++i) {
      if (left > 0 && offset(joined[left - 1]) + joined[left - 1].count == offset(segments[i])) {
        joined[left - 1].count += segments[i].count;
      } else {
        joined[left++] = segments[i];
      }
    }
    return left;
  }

  // Output pixels of one row of an image, and where the window of the first one begins.
  struct Run {
    std::int64_t image, top, left, count;
  };

  void gather(std::int64_t group, std::int64_t row, std::int64_t end, std::int64_t pixel, std::int64_t count,
              std::int64_t stride, float* out) const {
    Segments segments;
    segments.count = cut(group, row, end, segments.single);
    segments.joined_count = join(segments.single, segments.count, segments.joined);
    const Window& window = shape_.window;
    for (std::int64_t q = 0; q < count;) {
      const std::int64_t image_row = (pixel + q) / shape_.out_w, w = (pixel + q) % shape_.out_w;
      const Run run{image_row / shape_.out_h, image_row % shape_.out_h * window.stride_h - window.pad_top,
                    w * window.stride_w - window.pad_left, std::min(count - q, shape_.out_w - w)};
      gather_run(segments, run, stride, out + q * stride);
      q += run.count;
    }
  }

  // Pixels whose whole window lies inside the image are copied together, a stretch of the window at a time.
  void gather_run(const Segments& segments, const Run& run, std::int64_t stride, float* out) const {
    const Window& window = shape_.window;
    const std::int64_t reach_h = (window.kernel_h - 1) * window.dilation_h;
    const std::int64_t reach_w = (window.kernel_w - 1) * window.dilation_w;
    const std::int64_t room =
        shape_.in_w - 1 - reach_w - run.left;  // how far the first window may move right
    std::int64_t begin = 0, end = 0;
    if (run.top >= 0 && run.top + reach_h < shape_.in_h && room >= 0) {
      end = std::min(run.count, room / window.stride_w + 1);
      begin = std::min(end, run.left < 0 ? ceil_div(-run.left, window.stride_w) : 0);
    }
    for (std::int64_t q = 0; q < begin; ++q) gather_pixel(segments, run, q, out + q * stride);
    const std::int64_t corner = place(run, run.left + begin * window.stride_w);
    for (int i = 0; i < segments.joined_count; ++i) {
      const Segment& s = segments.joined[i];
      tile_kernels().pack(x_ + corner + offset(s), window.stride_w * shape_.in_c, end - begin,
                          static_cast<int>(s.count), static_cast<int>(s.count), out + begin * stride + s.to,
                          stride);
    }
    for (std::int64_t q = end; q < run.count; ++q) gather_pixel(segments, run, q, out + q * stride);
  }

  void gather_pixel(const Segments& segments, const Run& run, std::int64_t q, float* out) const {
    const std::int64_t left = run.left + q * shape_.window.stride_w;
    for (int i = 0; i < segments.count; ++i) {
      const Segment& s = segments.single[i];
      const std::int64_t h = run.top + s.h, w = left + s.w;
      if (h >= 0 && h < shape_.in_h && w >= 0 && w < shape_.in_w) {
        std::copy_n(x_ + place(run, left) + offset(s), s.count, out + s.to);
      } else {
        std::fill_n(out + s.to, s.count, 0.0f);
      }
    }
  }

  // Where the window that begins at column `left` begins in x; may lie outside.
  std::int64_t place(const Run& run, std::int64_t left) const {
    return ((run.image * shape_.in_h + run.top) * shape_.in_w + left) * shape_.in_c;
  }

  const ConvShape& shape_;
  const float* x_;
  const ColumnProduct& product_;
  float* packed_;  // [threads, kBlock, block_rows]
};

struct BackwardFilter {
  BackwardFilter(const ConvBackwardFilter& args, int threads, void* memory)
      : product(problem_of(args), threads), scratch(memory) {
    product.take(scratch, threads);
    packed = scratch.take<float>(product.block_rows() * ColumnProduct::kBlock * threads);
  }

  ColumnProduct product;
  Scratch scratch;
  float* packed;
};

}  // namespace

std::size_t conv_backward_filter_workspace(const ConvBackwardFilter& args, const Stream& stream) {
  return BackwardFilter(args, pool_of(stream).threads(), nullptr).scratch.bytes();
}

Status conv_backward_filter(const ConvBackwardFilter& args, const Launch& launch) {
  ThreadPool& pool = pool_of(*launch.stream);
  const BackwardFilter backward(args, pool.threads(), launch.workspace);
  backward.product.run(pool, PixelRows(args, backward.product, backward.packed));
  return nullptr;
}

}  // namespace pila::kernels::cpu
