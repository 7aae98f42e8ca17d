#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::test {
namespace {

using namespace kernels;

// Sums of 25 products at most: a few units in the last place.
constexpr double kTolerance = 1e-6;
// Sums of up to some thousand products in float32.
constexpr double kFilterTolerance = 3e-6;

std::unique_ptr<Stream> stream_of(int threads) { return cpu::create_device_api()->create_stream(threads); }

enum class Padding { none, after, around, same };  // (0,0), (0,1), (1,1), as Keras' "same"

// Begin and end of one axis' padding.
std::pair<int, int> padding_of(Padding padding, std::int64_t in, int kernel, int stride, int dilation) {
  switch (padding) {
    case Padding::none:
      return {0, 0};
    case Padding::after:
      return {0, 1};
    case Padding::around:
      return {1, 1};
    case Padding::same: {
      const auto out = (in + stride - 1) / stride;
      const auto total =
          static_cast<int>(std::max<std::int64_t>((out - 1) * stride + (kernel - 1) * dilation + 1 - in, 0));
      return {total / 2, total - total / 2};
    }
  }
  return {0, 0};
}

ConvShape shape_of(std::int64_t batch, std::int64_t h, std::int64_t w, std::int64_t channels, int kernel_h,
                   int kernel_w, int stride, int dilation, Padding padding) {
  ConvShape shape;
  shape.batch = batch;
  shape.in_h = h;
  shape.in_w = w;
  shape.in_c = shape.out_c = channels;
  shape.groups = static_cast<int>(channels);
  const auto [top, bottom] = padding_of(padding, h, kernel_h, stride, dilation);
  const auto [left, right] = padding_of(padding, w, kernel_w, stride, dilation);
  shape.window = {kernel_h, kernel_w, stride, stride, dilation, dilation, top, left};
  shape.out_h = (h + top + bottom - (kernel_h - 1) * dilation - 1 + stride) / stride;
  shape.out_w = (w + left + right - (kernel_w - 1) * dilation - 1 + stride) / stride;
  return shape;
}

std::size_t in_size(const ConvShape& s) {
  return static_cast<std::size_t>(s.batch * s.in_h * s.in_w * s.in_c);
}
std::size_t out_size(const ConvShape& s) {
  return static_cast<std::size_t>(s.batch * s.out_h * s.out_w * s.out_c);
}
std::size_t taps_size(const ConvShape& s) {
  return static_cast<std::size_t>(s.window.kernel_h * s.window.kernel_w * s.out_c);
}

std::string text_of(const ConvShape& s) {
  std::ostringstream text;
  text << s.batch << "x" << s.in_h << "x" << s.in_w << "x" << s.in_c << " window " << s.window.kernel_h << "x"
       << s.window.kernel_w << " stride " << s.window.stride_h << " dilation " << s.window.dilation_h
       << " pad " << s.window.pad_top << "," << s.window.pad_left << " out " << s.out_h << "x" << s.out_w;
  return text.str();
}

std::vector<float> forward(const KernelTable& table, const ConvShape& shape, int threads = 1,
                           Activation activation = Activation::none, bool bias = false,
                           bool residual = false) {
  const GuardedBuffer<float> x(uniform_data<float>(in_size(shape), 1)),
      w(uniform_data<float>(taps_size(shape), 2)),
      b(uniform_data<float>(static_cast<std::size_t>(shape.out_c), 3)),
      r(uniform_data<float>(out_size(shape), 4));
  GuardedBuffer<float> y(out_size(shape));
  DepthwiseForward args;
  args.shape = shape;
  args.x = x.data();
  args.w = w.data();
  args.y = y.data();
  args.epilogue = {bias ? b.data() : nullptr, residual ? r.data() : nullptr, activation};
  const auto stream = stream_of(threads);
  run_entry(table, args, *stream);
  EXPECT_TRUE(y.check(Written::all));
  return y.values();
}

std::vector<float> backward_data(const KernelTable& table, const ConvShape& shape, int threads = 1) {
  const GuardedBuffer<float> dy(uniform_data<float>(out_size(shape), 5)),
      w(uniform_data<float>(taps_size(shape), 6));
  GuardedBuffer<float> dx(in_size(shape));
  DepthwiseBackwardData args;
  args.shape = shape;
  args.dy = dy.data();
  args.w = w.data();
  args.dx = dx.data();
  const auto stream = stream_of(threads);
  run_entry(table, args, *stream);
  EXPECT_TRUE(dx.check(Written::all));
  return dx.values();
}

std::vector<float> backward_filter(const KernelTable& table, const ConvShape& shape, int threads = 1) {
  const GuardedBuffer<float> x(uniform_data<float>(in_size(shape), 7)),
      dy(uniform_data<float>(out_size(shape), 8));
  GuardedBuffer<float> dw(taps_size(shape));
  DepthwiseBackwardFilter args;
  args.shape = shape;
  args.x = x.data();
  args.dy = dy.data();
  args.dw = dw.data();
  const auto stream = stream_of(threads);
  run_entry(table, args, *stream);
  EXPECT_TRUE(dw.check(Written::all));
  return dw.values();
}

void expect_reference(const ConvShape& shape) {
  if (shape.out_h <= 0 || shape.out_w <= 0) return;
  SCOPED_TRACE(text_of(shape));
  const auto& fast = cpu::table();
  const auto& naive = reference::table();
  EXPECT_TRUE(close_by_norm(forward(fast, shape), forward(naive, shape), kTolerance));
  EXPECT_TRUE(close_by_norm(backward_data(fast, shape), backward_data(naive, shape), kTolerance));
  EXPECT_TRUE(close_by_norm(backward_filter(fast, shape), backward_filter(naive, shape), kFilterTolerance));
}

TEST(CpuDepthwise, IsTheReferenceForAllChannelCounts) {
  for (const std::int64_t channels : {1, 3, 8, 15, 16, 17, 24, 32, 33, 96, 144, 960}) {
    for (const int stride : {1, 2}) {
      expect_reference(shape_of(2, 7, 9, channels, 3, 3, stride, 1, Padding::same));
      expect_reference(shape_of(1, 6, 6, channels, 5, 5, stride, 1, Padding::same));
    }
  }
}

TEST(CpuDepthwise, IsTheReferenceForAllImageSizes) {
  for (std::int64_t size = 1; size <= 17; ++size) {
    for (const int stride : {1, 2}) {
      for (const auto padding : {Padding::none, Padding::after, Padding::around, Padding::same}) {
        expect_reference(shape_of(1, size, size, 19, 3, 3, stride, 1, padding));
        expect_reference(shape_of(3, 18 - size, size, 16, 3, 3, stride, 1, padding));
      }
    }
  }
}

TEST(CpuDepthwise, IsTheReferenceForOtherWindows) {
  for (const auto& [kernel_h, kernel_w] : {std::pair{5, 5}, {3, 5}, {5, 3}, {1, 1}, {2, 2}, {7, 7}}) {
    for (const int stride : {1, 2, 3}) {
      for (const int dilation : {1, 2}) {
        for (const auto padding : {Padding::none, Padding::around, Padding::same}) {
          expect_reference(shape_of(2, 13, 11, 20, kernel_h, kernel_w, stride, dilation, padding));
        }
      }
    }
  }
  for (const auto padding : {Padding::none, Padding::around, Padding::same}) {
    expect_reference(shape_of(2, 13, 11, 20, 3, 3, 1, 2, padding));
  }
}

// Strips, chunks and tasks of several rows.
TEST(CpuDepthwise, IsTheReferenceForLargerImages) {
  for (const int stride : {1, 2}) {
    expect_reference(shape_of(3, 57, 56, 24, 3, 3, stride, 1, Padding::same));
    expect_reference(shape_of(1, 34, 35, 200, 3, 3, stride, 1, Padding::same));
  }
}

// Cut into blocks of channels of different widths.
TEST(CpuDepthwise, IsTheReferenceForManyChannelsOfSmallImages) {
  for (const int stride : {1, 2}) {
    for (const std::int64_t channels : {200, 392}) {
      expect_reference(shape_of(2, 14, 14, channels, 3, 3, stride, 1, Padding::same));
      expect_reference(shape_of(1, 4, 5, 5 * channels, 3, 3, stride, 1, Padding::same));
    }
  }
}

// Outputs of 2^21 elements and more are written past the caches.
TEST(CpuDepthwise, IsTheReferenceForOutputsBeyondTheCaches) {
  const auto one = shape_of(1, 363, 363, 16, 3, 3, 1, 1, Padding::around);
  EXPECT_TRUE(close_by_norm(forward(cpu::table(), one), forward(reference::table(), one), kTolerance));
  const auto two = shape_of(1, 363, 363, 16, 3, 3, 2, 1, Padding::same);
  EXPECT_TRUE(
      close_by_norm(backward_data(cpu::table(), two), backward_data(reference::table(), two), kTolerance));
}

TEST(CpuDepthwise, DifferentStridesAndMultipliersFallBack) {
  auto uneven = shape_of(1, 9, 9, 16, 3, 3, 1, 1, Padding::around);
  uneven.window.stride_h = 2;
  uneven.out_h = 5;
  expect_reference(uneven);
  auto doubled = shape_of(1, 9, 9, 16, 3, 3, 1, 1, Padding::around);
  doubled.out_c = 32;
  expect_reference(doubled);
}

TEST(CpuDepthwise, EmptyBatchWritesZeroGradient) {
  const auto shape = shape_of(0, 9, 9, 16, 3, 3, 1, 1, Padding::around);
  EXPECT_TRUE(same_bits(backward_filter(cpu::table(), shape), std::vector<float>(taps_size(shape), 0.0f)));
}

TEST(CpuDepthwise, FinishesWithBiasActivationAndResidual) {
  for (const std::int64_t channels : {5, 16, 40}) {
    for (const auto activation :
         {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
      for (const bool bias : {false, true}) {
        for (const bool residual : {false, true}) {
          for (const int kernel : {3, 5}) {
            const auto shape = shape_of(2, 9, 10, channels, kernel, kernel, 1, 1, Padding::same);
            EXPECT_TRUE(close_by_norm(forward(cpu::table(), shape, 1, activation, bias, residual),
                                      forward(reference::table(), shape, 1, activation, bias, residual),
                                      kTolerance));
          }
        }
      }
    }
  }
}

TEST(CpuDepthwise, GivesTheSameBitsWithAnyThreads) {
  for (const int stride : {1, 2}) {
    const auto shape = shape_of(3, 57, 56, 40, 3, 3, stride, 1, Padding::same);
    const auto y = forward(cpu::table(), shape, 1, Activation::silu, true, true);
    const auto dx = backward_data(cpu::table(), shape), dw = backward_filter(cpu::table(), shape);
    for (const int threads : {2, 5}) {
      EXPECT_TRUE(same_bits(forward(cpu::table(), shape, threads, Activation::silu, true, true), y));
      EXPECT_TRUE(same_bits(backward_data(cpu::table(), shape, threads), dx));
      EXPECT_TRUE(same_bits(backward_filter(cpu::table(), shape, threads), dw));
    }
  }
}

}  // namespace
}  // namespace pila::test
