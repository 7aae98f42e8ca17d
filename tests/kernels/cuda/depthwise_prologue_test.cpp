// Depthwise convolutions, and their weights' gradients, that normalise what they read.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/args/conv.h"
#include "tests/kernels/cuda/conv_image.h"
#include "tests/kernels/cuda/typed_prologue.h"

namespace pila::test::depthwise_prologue_test {
namespace {

using namespace kernels;

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};
constexpr Activation kActivations[] = {Activation::none, Activation::relu6, Activation::silu};

std::vector<float> random_numbers(std::int64_t count, std::uint64_t seed) {
  return uniform_data<float>(static_cast<std::size_t>(count), seed);
}

// Twice that of sums of numbers as they are stored: what is summed was computed, too, in float32.
double tolerance(DType type, std::int64_t products) {
  return 8e-7 * (2 + std::sqrt(static_cast<double>(products))) + (type == DType::f32 ? 0 : half_unit(type));
}

// One kernel with x read through a prologue, `second` being its other factor. Of float32 the reference has
// the same prologue; of 16 bits, the numbers that the kernel is to multiply.
template <class Args>
void expect_agreement(const char* kernel, const ConvShape& shape, DType type, const TypedPrologue& prologue,
                      const void* Args::*second, std::int64_t second_count, void* Args::*output,
                      std::int64_t count, std::int64_t products) {
  const TypedInput x(type, random_numbers(shape.batch * shape.in_h * shape.in_w * shape.in_c, 1));
  const TypedInput other(type, random_numbers(second_count, 2));
  const std::vector<float> read = prologue.read(type, x.host);
  Args args;
  args.shape = shape;
  args.x = type == DType::f32 ? x.host.data() : read.data();
  if (type == DType::f32) args.prologue = prologue.on_host();
  args.*second = other.host.data();
  const auto expected = run_reference<float>(args, output, static_cast<std::size_t>(count));
  args.type = type;
  args.x = x.device.data();
  args.prologue = prologue.on_device();
  args.*second = other.device.data();
  const auto actual = run_typed(args, kernel, output, static_cast<std::size_t>(count));
  EXPECT_TRUE(close_by_norm(actual, expected, tolerance(type, products)));
}

void expect_both_of(const char* forward, const ConvShape& shape, DType type, Activation activation,
                    std::int64_t shift = 0) {
  SCOPED_TRACE("type " + std::to_string(static_cast<int>(type)) + ", activation " +
               std::to_string(static_cast<int>(activation)));
  const TypedPrologue prologue(shape.in_c, activation, shift);
  const std::int64_t taps = shape.window.kernel_h * shape.window.kernel_w, weights = taps * shape.out_c;
  const std::int64_t pixels = shape.batch * shape.out_h * shape.out_w, numbers = pixels * shape.out_c;
  expect_agreement(forward, shape, type, prologue, &DepthwiseForward::w, weights, &DepthwiseForward::y,
                   numbers, taps);
  expect_agreement("depthwise_backward_filter", shape, type, prologue, &DepthwiseBackwardFilter::dy, numbers,
                   &DepthwiseBackwardFilter::dw, weights, pixels);
}

void expect_both(const char* forward, const Image& image, DType type, Activation activation,
                 std::int64_t shift = 0) {
  SCOPED_TRACE(image.name());
  expect_both_of(forward, image.shape(), type, activation, shift);
}

TEST(CudaDepthwisePrologue, ReadsWindowsOf3x3) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const Activation activation : kActivations) {
      for (const int stride : {1, 2}) {
        for (const int pad : {0, 1}) {
          for (const std::int64_t size : {3, 4, 7}) {
            expect_both("depthwise_3x3", {2, size, size + 2, 24, 24, 3, stride, pad}, type, activation);
          }
        }
        expect_both("depthwise_3x3", {1, 1, 1, 8, 8, 3, stride, 1}, type, activation);
      }
    }
    expect_both("depthwise_3x3", {1, 14, 14, 96, 96, 3, 2, 1}, type, Activation::relu6);
    expect_both("depthwise_3x3", {1, 7, 7, 960, 960, 3, 1, 1}, type, Activation::relu6);
  }
}

// Strips of several rows.
TEST(CudaDepthwisePrologue, WalksDownStripsOfRows) {
  PILA_NEEDS_DEVICE();
  const ConvShape shape = Image{4, 50, 64, 192, 192}.shape();
  expect_agreement("depthwise_3x3", shape, DType::f16, TypedPrologue(192, Activation::relu6),
                   &DepthwiseForward::w, 9 * 192, &DepthwiseForward::y, 4 * 50 * 64 * 192, 9);
}

// Keras pads below and to the right alone where the size is even.
TEST(CudaDepthwisePrologue, PadsOnOneSide) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    ConvShape shape = Image{2, 8, 10, 16, 16, 3, 2, 0}.shape();
    shape.out_h = 4;
    shape.out_w = 5;
    expect_both_of("depthwise_3x3", shape, type, Activation::relu6);
  }
}

TEST(CudaDepthwisePrologue, ReadsAnyWindow) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const Activation activation : kActivations) {
      expect_both("depthwise", {2, 7, 9, 16, 16, 5, 2, 2}, type, activation);
      expect_both("depthwise", {1, 7, 9, 5, 5, 3, 1, 1}, type, activation);        // no pack of channels
      expect_both("depthwise", {1, 7, 9, 8, 24, 3, 1, 1}, type, activation);       // three of y for each of x
      expect_both("depthwise", {1, 9, 9, 8, 8, 3, 1, 2, 1, 2}, type, activation);  // dilated
    }
    expect_both("depthwise", {1, 40, 41, 5, 5, 3, 1, 1}, type, Activation::relu6);  // several parts of pixels
  }
}

// What is multiplied is rounded first: no sum shows what the type cannot hold.
template <class Args>
void expect_rounding(const char* kernel, const ConvShape& shape, const void* Args::*second,
                     std::int64_t second_count, void* Args::*output, std::int64_t count) {
  const auto numbers = static_cast<std::size_t>(shape.batch * shape.in_h * shape.in_w * shape.in_c);
  const std::vector<float> ones(numbers, 1.0f);
  const TypedPrologue prologue = TypedPrologue::of_nearly_one(shape.in_c);
  for (const DType type : {DType::f16, DType::bf16}) {
    const TypedInput x(type, integer_data<float>(numbers, 1, 0, 1));
    const TypedInput signs(type, integer_data<float>(static_cast<std::size_t>(second_count), 2, -1, 1));
    Args args;
    args.shape = shape;
    args.x = ones.data();
    args.*second = signs.host.data();
    const auto expected = run_reference<float>(args, output, static_cast<std::size_t>(count));
    args.type = type;
    args.x = x.device.data();
    args.*second = signs.device.data();
    args.prologue = prologue.on_device();
    EXPECT_TRUE(close_each(run_typed(args, kernel, output, static_cast<std::size_t>(count)), expected, 0))
        << kernel;
  }
}

TEST(CudaDepthwisePrologue, RoundsWhatItReads) {
  PILA_NEEDS_DEVICE();
  for (const std::int64_t channels : {16, 5}) {
    const ConvShape shape = Image{1, 6, 7, channels, channels}.shape();
    const std::int64_t weights = 9 * channels, numbers = 6 * 7 * channels;
    expect_rounding(channels == 16 ? "depthwise_3x3" : "depthwise", shape, &DepthwiseForward::w, weights,
                    &DepthwiseForward::y, numbers);
    expect_rounding("depthwise_backward_filter", shape, &DepthwiseBackwardFilter::dy, numbers,
                    &DepthwiseBackwardFilter::dw, weights);
  }
}

// Packs of channels need packs of what is done to them.
TEST(CudaDepthwisePrologue, ReadsScalingsAnywhere) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) expect_both("depthwise", {1, 5, 6, 16, 16}, type, Activation::relu6, 1);
}

}  // namespace
}  // namespace pila::test::depthwise_prologue_test
