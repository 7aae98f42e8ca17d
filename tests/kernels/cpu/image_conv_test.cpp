#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/args/image.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::cpu::image_conv_test {
namespace {

using test::GuardedBuffer;
using test::uniform_data;

struct Case {
  std::int64_t batch, h, w, in_c, out_c;
  int kernel = 3, stride = 2, pad_top = 0, pad_left = 0, pad_after = 1;
  Activation activation = Activation::relu6;
  bool bias = true, residual = false;
};

const char* kernel_of(Precision rounding) {
  return rounding == Precision::bf16 ? "image_conv_bf16" : "image_conv_f32";
}

ImageConvForward arguments(const Case& which) {
  ImageConvForward args;
  const auto out = [&](std::int64_t in, int pad) {
    return (in + pad + which.pad_after - which.kernel) / which.stride + 1;
  };
  args.shape = {
      which.batch,
      which.h,
      which.w,
      which.in_c,
      out(which.h, which.pad_top),
      out(which.w, which.pad_left),
      which.out_c,
      1,
      {which.kernel, which.kernel, which.stride, which.stride, 1, 1, which.pad_top, which.pad_left}};
  const float scale[] = {1 / 127.5f, 1 / 100.0f, 1 / 150.0f, 1 / 200.0f}, offset[] = {-1, -0.5f, 0.25f, -2};
  std::copy_n(scale, kMaxImageChannels, args.scale);
  std::copy_n(offset, kMaxImageChannels, args.offset);
  args.epilogue.activation = which.activation;
  return args;
}

// The same convolution of numbers gives the same bits.
void expect_same_of_numbers(const ImageConvForward& args, const GuardedBuffer<float>& x,
                            const std::vector<float>& expected) {
  CpuStream stream(2);
  GuardedBuffer<float> y(expected.size());
  const ConvForward of_numbers{args.type, args.shape,    x.data(),     args.w,
                               y.data(),  args.epilogue, args.rounding};
  const auto* kernel = table().conv_forward.select(of_numbers);
  EXPECT_STREQ(kernel->name, kernel_of(args.rounding));
  test::run_prepared(*kernel, of_numbers, stream);
  EXPECT_TRUE(y.check(test::Written::all));
  EXPECT_TRUE(test::same_bits(y.values(), expected)) << "of numbers";
  test::run_kernel(*kernel, of_numbers, stream);
  EXPECT_TRUE(test::same_bits(y.values(), expected)) << "of numbers, without prepared weights";
}

void expect_agreement(const Case& which, Precision rounding) {
  SCOPED_TRACE(testing::Message() << which.batch << " x " << which.h << " x " << which.w << " x "
                                  << which.in_c << " to " << which.out_c << " kernel " << which.kernel
                                  << " stride " << which.stride << " pads " << which.pad_top << " "
                                  << which.pad_left << ", " << kernel_of(rounding));
  ImageConvForward args = arguments(which);
  args.rounding = rounding;
  const ConvShape& s = args.shape;
  const auto size = [](std::int64_t count) { return static_cast<std::size_t>(count); };
  const std::int64_t taps = which.kernel * which.kernel * which.in_c;
  const std::size_t count = size(s.batch * s.out_h * s.out_w * s.out_c);
  const GuardedBuffer<std::uint8_t> x(
      test::integer_data<std::uint8_t>(size(which.batch * which.h * which.w * which.in_c), 1, 0, 255));
  const GuardedBuffer<float> w(uniform_data<float>(size(taps * which.out_c), 2)),
      bias(uniform_data<float>(size(which.out_c), 3)), residual(uniform_data<float>(count, 4));
  args.x = x.data();
  args.w = w.data();
  if (which.bias) args.epilogue.bias = bias.data();
  if (which.residual) args.epilogue.residual = residual.data();
  const auto fast = [&](int threads, bool prepared) {
    CpuStream stream(threads);
    GuardedBuffer<float> y(count);
    args.y = y.data();
    const auto* kernel = table().image_conv_forward.select(args);
    EXPECT_STREQ(kernel->name, kernel_of(rounding));
    prepared ? test::run_prepared(*kernel, args, stream) : test::run_kernel(*kernel, args, stream);
    EXPECT_TRUE(y.check(test::Written::all));
    return y.values();
  };
  const auto y = fast(1, true);
  std::vector<float> expected(count);
  args.y = expected.data();
  CpuStream stream(1);
  test::run_entry(reference::table(), args, stream);
  // A float32 sum of k products of random signs is off by about sqrt(k) roundings of its own size; the rest
  // is room for the pixels' rounding and sums that happen to cancel.
  EXPECT_TRUE(test::close_by_norm(y, expected, 4e-7 * (3 + std::sqrt(static_cast<double>(taps)))));
  EXPECT_TRUE(test::same_bits(fast(1, false), y)) << "without prepared weights";
  EXPECT_TRUE(test::same_bits(fast(2, true), y)) << "with two threads";
  EXPECT_TRUE(test::same_bits(fast(3, false), y)) << "with three threads";

  std::vector<float> numbers;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t channel = i % size(which.in_c);
    numbers.push_back(std::fma(static_cast<float>(x[i]), args.scale[channel], args.offset[channel]));
  }
  expect_same_of_numbers(args, GuardedBuffer<float>(numbers), y);
}

void expect_agreement(const Case& which) {
  expect_agreement(which, Precision::f32);
  if (has_bfloat16()) expect_agreement(which, Precision::bf16);
}

TEST(FastImageConv, AgreesWithTheReferenceAroundTiles) {
  for (const std::int64_t out_c : {1, 8, 15, 16, 17, 24, 32, 48, 65, 100}) {
    for (const std::int64_t w : {3, 5, 11, 24, 29}) expect_agreement({1, 9, w, 3, out_c});
  }
}

// Bands are of four rows of outputs.
TEST(FastImageConv, AgreesForEveryHeightAndChannel) {
  for (const std::int64_t h : {3, 4, 8, 9, 10, 17}) {
    for (std::int64_t in_c = 1; in_c <= kMaxImageChannels; ++in_c) expect_agreement({3, h, 21, in_c, 20});
  }
}

TEST(FastImageConv, AgreesForEveryWindow) {
  for (const int kernel : {1, 2, 3, 5, 7}) {
    for (const int stride : {1, 2, 3}) {
      for (const int pad : {0, 1, 3}) {
        expect_agreement({1, 12, 13, 3, 20, kernel, stride, pad, 3 - pad, 2});
      }
    }
  }
}

TEST(FastImageConv, AppliesEveryEpilogue) {
  for (const auto activation :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    for (const bool bias : {false, true}) {
      for (const bool residual : {false, true}) {
        expect_agreement({1, 9, 12, 3, 20, 3, 2, 1, 1, 1, activation, bias, residual});
      }
    }
  }
}

TEST(FastImageConv, AgreesOnAPhotograph) { expect_agreement({1, 224, 224, 3, 32}); }

TEST(FastImageConv, LeavesGapsBetweenTapsToTheReference) {
  ImageConvForward args = arguments({1, 9, 9, 3, 8});
  EXPECT_STREQ(table().image_conv_forward.select(args)->name, "image_conv_f32");
  args.shape.window.dilation_w = 2;
  EXPECT_STREQ(table().image_conv_forward.select(args)->name, "reference");
}

}  // namespace
}  // namespace pila::kernels::cpu::image_conv_test
