#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/kernels/cuda/conv_image.h"
#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::conv_test {
namespace {

using namespace kernels;

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

std::vector<float> random_numbers(std::int64_t count, std::uint64_t seed) {
  return uniform_data<float>(static_cast<std::size_t>(count), seed);
}

// Sums of `products` numbers of random signs in float32, rounded once more where they are stored in less.
double tolerance(DType type, std::int64_t products) {
  return 4e-7 * (2 + std::sqrt(static_cast<double>(products))) + (type == DType::f32 ? 0 : half_unit(type));
}

struct Ending {
  bool bias = false, residual = false;
  Activation activation = Activation::none;
};

// Args: ConvForward or DepthwiseForward, whose window has so many weights.
template <class Args>
void expect_agreement(const char* kernel, const ConvShape& shape, std::int64_t weights, std::int64_t products,
                      DType type, const Ending& ending, Precision rounding = Precision::f32) {
  SCOPED_TRACE("type " + std::to_string(static_cast<int>(type)));
  const std::int64_t count = shape.batch * shape.out_h * shape.out_w * shape.out_c;
  const TypedInput x(type, random_numbers(shape.batch * shape.in_h * shape.in_w * shape.in_c, 1));
  const TypedInput w(type, random_numbers(weights, 2));
  const TypedInput residual(type, random_numbers(count, 4));
  const std::vector<float> bias = random_numbers(shape.out_c, 3);
  const DeviceBuffer<float> bias_there(bias);

  Args args;
  args.shape = shape;
  if constexpr (requires { args.rounding; }) args.rounding = rounding;
  args.epilogue.activation = ending.activation;
  args.x = x.host.data();
  args.w = w.host.data();
  if (ending.bias) args.epilogue.bias = bias.data();
  if (ending.residual) args.epilogue.residual = residual.host.data();
  const auto expected = run_reference<float>(args, &Args::y, static_cast<std::size_t>(count));

  args.type = type;
  args.x = x.device.data();
  args.w = w.device.data();
  if (ending.bias) args.epilogue.bias = bias_there.data();
  if (ending.residual) args.epilogue.residual = residual.device.data();
  const auto actual = run_typed(args, kernel, &Args::y, static_cast<std::size_t>(count));
  EXPECT_TRUE(close_by_norm(actual, expected, tolerance(type, products)));
}

void expect_depthwise(const char* kernel, const Image& image, DType type, const Ending& ending = {}) {
  SCOPED_TRACE(image.name());
  const std::int64_t taps = image.kernel * image.kernel;
  expect_agreement<DepthwiseForward>(kernel, image.shape(), taps * image.out_c, taps, type, ending);
}

void expect_conv(const char* kernel, const Image& image, DType type, const Ending& ending = {},
                 Precision rounding = Precision::f32) {
  SCOPED_TRACE(image.name());
  const std::int64_t products = image.kernel * image.kernel * image.in_c / image.groups;
  expect_agreement<ConvForward>(kernel, image.shape(), products * image.out_c, products, type, ending,
                                rounding);
}

// What tensor cores multiply.
struct Factors {
  DType type;
  Precision rounding = Precision::f32;
};
constexpr Factors kFactors[] = {{DType::f16}, {DType::bf16}, {DType::f32, Precision::tf32}};

// Sizes around a strip of rows, images of one pixel, channels of one pack and of many.
TEST(CudaDepthwise, SlidesWindowsOf3x3) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const int stride : {1, 2}) {
      for (const int pad : {0, 1}) {
        for (const std::int64_t size : {3, 4, 7, 14}) {
          expect_depthwise("depthwise_3x3", {2, size, size + 2, 24, 24, 3, stride, pad}, type);
        }
      }
      expect_depthwise("depthwise_3x3", {1, 1, 1, 8, 8, 3, stride, 1}, type);
      expect_depthwise("depthwise_3x3", {1, 7, 7, 960, 960, 3, stride, 1}, type);
    }
    expect_depthwise("depthwise_3x3", {2, 5, 6, 16, 16, 3, 1, 1}, type, {true, true, Activation::relu6});
    expect_depthwise("depthwise_3x3", {2, 5, 6, 16, 16, 3, 2, 1}, type, {true, false, Activation::silu});
  }
}

// Enough threads for strips of several rows, whose sums are handed on from row to row.
TEST(CudaDepthwise, WalksDownStripsOfRows) {
  PILA_NEEDS_DEVICE();
  expect_depthwise("depthwise_3x3", {4, 50, 64, 192, 192, 3, 1, 1}, DType::f16);
  expect_depthwise("depthwise_3x3", {4, 101, 128, 192, 192, 3, 2, 1}, DType::f16);
}

// Keras pads below and to the right alone where the size is even.
TEST(CudaDepthwise, PadsOnOneSide) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    ConvShape shape = Image{2, 8, 10, 16, 16, 3, 2, 0}.shape();
    shape.out_h = 4;
    shape.out_w = 5;
    expect_agreement<DepthwiseForward>("depthwise_3x3", shape, 9 * 16, 9, type, {true});
  }
}

TEST(CudaDepthwise, TakesAnyWindow) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    expect_depthwise("depthwise", {2, 7, 9, 16, 16, 5, 2, 2}, type, {true, true, Activation::relu});
    expect_depthwise("depthwise", {1, 7, 9, 5, 5, 3, 1, 1}, type);        // no pack of channels
    expect_depthwise("depthwise", {1, 7, 9, 8, 24, 3, 1, 1}, type);       // three of y for each of x
    expect_depthwise("depthwise", {1, 9, 9, 8, 8, 3, 1, 2, 1, 2}, type);  // dilated
    expect_depthwise("depthwise", {1, 12, 12, 8, 8, 3, 3, 1}, type);      // steps of three
  }
}

// Around tiles of 64 x 64 and a depth of 16.
TEST(CudaConv, TakesAnyWindow) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    expect_conv("conv", {1, 8, 8, 3, 16, 3, 1, 1}, type);
    expect_conv("conv", {2, 9, 7, 5, 65, 3, 2, 1}, type, {true, true, Activation::relu6});
    expect_conv("conv", {1, 4, 4, 6, 8, 1, 2, 0}, type);
    expect_conv("conv", {1, 13, 13, 3, 7, 7, 2, 3}, type, {true});
    expect_conv("conv", {2, 6, 6, 6, 9, 3, 1, 1, 3}, type, {true, true});  // groups
    expect_conv("conv", {1, 9, 9, 4, 4, 3, 1, 2, 1, 2}, type);             // dilated
  }
}

// Around tiles of 64 x 64 sums, 128 x 128 where there are many, and a depth of 32, 16 of TF32.
TEST(CudaConv, MultipliesByTensorCores) {
  PILA_NEEDS_DEVICE();
  constexpr auto kName = "conv_tensor_cores";
  for (const auto& [type, rounding] : kFactors) {
    expect_conv(kName, {1, 8, 8, 8, 16, 3, 1, 1}, type, {}, rounding);
    expect_conv(kName, {2, 9, 7, 24, 72, 3, 2, 1}, type, {true, true, Activation::relu6}, rounding);
    expect_conv(kName, {3, 5, 6, 8, 8, 3, 1, 0}, type, {false, true}, rounding);
    expect_conv(kName, {1, 11, 9, 16, 8, 5, 2, 2}, type, {true, false, Activation::silu}, rounding);
    expect_conv(kName, {1, 4, 4, 8, 136, 1, 2, 0}, type, {}, rounding);
    expect_conv(kName, {1, 9, 9, 40, 8, 3, 1, 2, 1, 2}, type, {}, rounding);  // dilated
    expect_conv(kName, {1, 3, 3, 256, 16, 3, 1, 1}, type, {true, true, Activation::relu}, rounding);  // deep
  }
  expect_conv(kName, {1, 7, 7, 4, 12, 3, 1, 1}, DType::f32, {true}, Precision::tf32);  // packs of four
  expect_conv(kName, {3, 128, 128, 8, 128, 1, 2, 0}, DType::bf16);
}

// Float32 that may be rounded, but by no tensor cores: few channels.
TEST(CudaConv, LeavesWhatTensorCoresDoNotTake) {
  PILA_NEEDS_DEVICE();
  const ConvShape shape = Image{1, 8, 8, 3, 16, 3, 2, 1}.shape();
  const std::vector<float> x = random_numbers(8 * 8 * 3, 1), w = random_numbers(9 * 3 * 16, 2);
  const DeviceBuffer<float> x_there(x), w_there(w);
  ConvForward args;
  args.shape = shape;
  args.x = x.data();
  args.w = w.data();
  const auto expected = run_reference<float>(args, &ConvForward::y, 4 * 4 * 16);
  args.rounding = Precision::tf32;
  args.x = x_there.data();
  args.w = w_there.data();
  const auto actual = run_on_device<float>(args, "conv", &ConvForward::y, 4 * 4 * 16);
  EXPECT_TRUE(close_by_norm(actual, expected, tolerance(DType::f32, 27)));
}

TEST(CudaImageConv, ReadsPixels) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const std::int64_t out_c : {1, 8, 12, 16, 32}) {
      for (const Image& image : {Image{2, 9, 11, 3, out_c, 3, 2, 1}, Image{1, 5, 5, 1, out_c, 5, 1, 2}}) {
        SCOPED_TRACE(image.name() + ", type " + std::to_string(static_cast<int>(type)));
        ImageConvForward args;
        args.shape = image.shape();
        const auto pixels = integer_data<std::uint8_t>(
            static_cast<std::size_t>(image.batch * image.in_h * image.in_w * image.in_c), 1, 0, 255);
        const std::int64_t products = image.kernel * image.kernel * image.in_c;
        const TypedInput w(type, random_numbers(products * out_c, 2));
        const std::vector<float> bias = random_numbers(out_c, 3);
        const DeviceBuffer<std::uint8_t> pixels_there(pixels);
        const DeviceBuffer<float> bias_there(bias);
        for (int c = 0; c < image.in_c; ++c) {
          args.scale[c] = 1 / 127.5f;
          args.offset[c] = -1 + 0.1f * static_cast<float>(c);
        }
        args.epilogue.activation = Activation::relu6;
        const auto count =
            static_cast<std::size_t>(args.shape.batch * args.shape.out_h * args.shape.out_w * out_c);
        args.x = pixels.data();
        args.w = w.host.data();
        args.epilogue.bias = bias.data();
        const auto expected = run_reference<float>(args, &ImageConvForward::y, count);
        args.type = type;
        args.x = pixels_there.data();
        args.w = w.device.data();
        args.epilogue.bias = bias_there.data();
        EXPECT_TRUE(close_by_norm(run_typed(args, "image_conv", &ImageConvForward::y, count), expected,
                                  tolerance(type, products)));
      }
    }
  }
}

// ---- gradients

// What a gradient is computed from and what it is for: `first` is dy for the image's, x for the weights'.
template <class Args, class Second>
void expect_gradient(const char* kernel, const ConvShape& shape, DType type, const void* Args::*first,
                     std::int64_t first_count, Second Args::*second, std::int64_t second_count,
                     void* Args::*output, std::int64_t count, std::int64_t products,
                     Precision rounding = Precision::f32) {
  SCOPED_TRACE(std::string(kernel) + " of type " + std::to_string(static_cast<int>(type)));
  const TypedInput a(type, random_numbers(first_count, 1)), b(type, random_numbers(second_count, 2));
  Args args;
  args.shape = shape;
  if constexpr (requires { args.rounding; }) args.rounding = rounding;
  args.*first = a.host.data();
  args.*second = b.host.data();
  const auto expected = run_reference<float>(args, output, static_cast<std::size_t>(count));
  args.type = type;
  args.*first = a.device.data();
  args.*second = b.device.data();
  const auto actual = run_typed(args, kernel, output, static_cast<std::size_t>(count));
  EXPECT_TRUE(close_by_norm(actual, expected, tolerance(type, products)));
}

void expect_gradients(const Image& image, bool depthwise) {
  SCOPED_TRACE(image.name());
  const ConvShape shape = image.shape();
  const std::int64_t taps = image.kernel * image.kernel;
  const std::int64_t in = shape.batch * shape.in_h * shape.in_w * shape.in_c;
  const std::int64_t out = shape.batch * shape.out_h * shape.out_w * shape.out_c;
  const std::int64_t pixels = shape.batch * shape.out_h * shape.out_w;
  for (const DType type : kTypes) {
    if (depthwise) {
      const std::int64_t weights = taps * shape.out_c;
      expect_gradient("depthwise_backward_data", shape, type, &DepthwiseBackwardData::dy, out,
                      &DepthwiseBackwardData::w, weights, &DepthwiseBackwardData::dx, in, taps);
      expect_gradient("depthwise_backward_filter", shape, type, &DepthwiseBackwardFilter::x, in,
                      &DepthwiseBackwardFilter::dy, out, &DepthwiseBackwardFilter::dw, weights, pixels);
    } else {
      const std::int64_t weights = taps * shape.in_c / shape.groups * shape.out_c;
      expect_gradient("conv_backward_data", shape, type, &ConvBackwardData::dy, out, &ConvBackwardData::w,
                      weights, &ConvBackwardData::dx, in, taps * shape.out_c);
      expect_gradient("conv_backward_filter", shape, type, &ConvBackwardFilter::x, in,
                      &ConvBackwardFilter::dy, out, &ConvBackwardFilter::dw, weights, pixels);
    }
  }
}

TEST(CudaDepthwise, SendsGradientsBack) {
  PILA_NEEDS_DEVICE();
  for (const int stride : {1, 2}) {
    expect_gradients({2, 9, 7, 16, 16, 3, stride, 1}, true);
    expect_gradients({2, 8, 8, 5, 5, 3, stride, 1}, true);  // no pack of channels
    expect_gradients({1, 12, 9, 8, 8, 5, stride, 2}, true);
  }
  expect_gradients({1, 7, 9, 8, 24, 3, 1, 1}, true);       // three of y for each of x
  expect_gradients({1, 9, 9, 8, 8, 3, 1, 2, 1, 2}, true);  // dilated
  expect_gradients({1, 40, 41, 8, 8, 3, 1, 1}, true);      // several parts of pixels
}

// Tiles as of forward convolutions; of the weights', pixels are the depth.
TEST(CudaConv, SendsGradientsBackByTensorCores) {
  PILA_NEEDS_DEVICE();
  const auto expect = [](const Image& image, const Factors& factors) {
    SCOPED_TRACE(image.name());
    const ConvShape shape = image.shape();
    const std::int64_t taps = image.kernel * image.kernel, weights = taps * shape.in_c * shape.out_c;
    const std::int64_t in = shape.batch * shape.in_h * shape.in_w * shape.in_c;
    const std::int64_t pixels = shape.batch * shape.out_h * shape.out_w, out = pixels * shape.out_c;
    const auto& [type, rounding] = factors;
    expect_gradient("conv_backward_data_tensor_cores", shape, type, &ConvBackwardData::dy, out,
                    &ConvBackwardData::w, weights, &ConvBackwardData::dx, in, taps * shape.out_c, rounding);
    expect_gradient("conv_backward_filter_tensor_cores", shape, type, &ConvBackwardFilter::x, in,
                    &ConvBackwardFilter::dy, out, &ConvBackwardFilter::dw, weights, pixels, rounding);
  };
  for (const Factors& factors : kFactors) {
    for (const int stride : {1, 2}) {
      expect({2, 9, 7, 8, 16, 3, stride, 1}, factors);
      expect({1, 6, 8, 24, 72, 3, stride, 0}, factors);
      expect({1, 8, 8, 72, 8, 5, stride, 2}, factors);
      expect({2, 5, 5, 16, 40, 1, stride, 0}, factors);
    }
    expect({1, 9, 9, 8, 8, 3, 1, 2, 1, 2}, factors);  // dilated
  }
  expect({1, 7, 7, 4, 12, 3, 2, 1}, kFactors[2]);    // packs of four
  expect({2, 33, 33, 8, 16, 3, 1, 1}, kFactors[1]);  // several parts of pixels
  expect({1, 3, 3, 8, 256, 3, 1, 1}, kFactors[0]);   // and of taps and channels
}

TEST(CudaConv, SendsGradientsBack) {
  PILA_NEEDS_DEVICE();
  expect_gradients({2, 9, 7, 3, 16, 3, 2, 1}, false);
  expect_gradients({1, 5, 5, 9, 4, 1, 1, 0}, false);
  expect_gradients({2, 6, 6, 6, 9, 3, 1, 1, 3}, false);     // groups
  expect_gradients({1, 9, 9, 4, 4, 3, 1, 2, 1, 2}, false);  // dilated
  expect_gradients({1, 40, 41, 3, 5, 3, 2, 1}, false);      // several parts of pixels
}

}  // namespace
}  // namespace pila::test::conv_test
