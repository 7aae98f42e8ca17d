#include "kernels/args/image.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::image_test {
namespace {

using namespace kernels;

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

std::vector<float> random_numbers(std::int64_t count, std::uint64_t seed) {
  return uniform_data<float>(static_cast<std::size_t>(count), seed);
}

TEST(CudaImage, ScalesPixels) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const int channels : {1, 3, 4}) {
      for (const std::int64_t pixels : {0, 1, 255, 257, 1000}) {
        const auto count = static_cast<std::size_t>(pixels * channels);
        const auto x = integer_data<std::uint8_t>(count, 1, 0, 255);
        const DeviceBuffer<std::uint8_t> there(x);
        ImageToFloat args;
        args.pixels = pixels;
        args.channels = channels;
        for (int c = 0; c < channels; ++c) {
          args.scale[c] = 1 / 127.5f;
          args.offset[c] = -1.0f + static_cast<float>(c);
        }
        args.x = x.data();
        const auto expected = run_reference<float>(args, &ImageToFloat::y, count);
        args.type = type;
        args.x = there.data();
        // One rounding in float32, one in what is stored, of numbers up to 3.
        EXPECT_TRUE(close_each(run_typed(args, "image_to_float", &ImageToFloat::y, count), expected,
                               2e-7 + 4 * half_unit(type)));
      }
    }
  }
}

TEST(CudaImage, ResizesAsTheReference) {
  PILA_NEEDS_DEVICE();
  struct Sizes {
    std::int64_t in_h, in_w, out_h, out_w;
  };
  for (const auto& [in_h, in_w, out_h, out_w] :
       {Sizes{7, 9, 7, 9}, Sizes{7, 9, 14, 5}, Sizes{1, 1, 3, 3}, Sizes{20, 31, 6, 8}}) {
    constexpr std::int64_t kBatch = 2;
    constexpr int kChannels = 3;
    const auto in = static_cast<std::size_t>(kBatch * in_h * in_w * kChannels);
    const auto out = static_cast<std::size_t>(kBatch * out_h * out_w * kChannels);
    ResizeBilinear args;
    args.batch = kBatch;
    args.in_h = in_h;
    args.in_w = in_w;
    args.out_h = out_h;
    args.out_w = out_w;

    const auto pixels = integer_data<std::uint8_t>(in, 1, 0, 255);
    const DeviceBuffer<std::uint8_t> pixels_there(pixels);
    const auto numbers = uniform_data<float>(in, 2);
    const DeviceBuffer<float> numbers_there(numbers);
    const auto expect_agreement = [&](const void* host, const void* device, DType from, double scale) {
      args.from = from;
      args.to = DType::f32;
      args.x = host;
      const auto expected = run_reference<float>(args, &ResizeBilinear::y, out);
      args.x = device;
      for (const DType type : kTypes) {
        args.to = type;
        const auto bytes =
            run_on_device<unsigned char>(args, "resize_bilinear", &ResizeBilinear::y, out * size_of(type));
        // Three interpolations in float32, and the rounding to what is stored.
        EXPECT_TRUE(close_each(from_bytes(type, bytes), expected, scale * (4e-7 + half_unit(type))));
      }
    };
    expect_agreement(pixels.data(), pixels_there.data(), DType::u8, 256);
    expect_agreement(numbers.data(), numbers_there.data(), DType::f32, 1);
  }
}

// Moved, not computed: the bits are the reference's. Channels make units of 1 to 16 bytes.
TEST(CudaPad, FramesAndCropsAllTypes) {
  PILA_NEEDS_DEVICE();
  for (const DType type :
       {DType::u8, DType::f16, DType::bf16, DType::f32, DType::i32, DType::f64, DType::i64}) {
    for (const std::int64_t channels : {1, 3, 8, 16}) {
      const Borders borders{2, 5, 4, channels, 1, 2, 0, 3};
      const std::size_t element = size_of(type);
      const std::size_t plain = 2 * 5 * 4 * static_cast<std::size_t>(channels) * element;
      const std::size_t padded = 2 * 8 * 7 * static_cast<std::size_t>(channels) * element;

      const auto x = integer_data<unsigned char>(plain, 1, 0, 255);
      const DeviceBuffer<unsigned char> x_there(x);
      Pad pad{type, borders, x.data(), nullptr};
      const auto framed = run_reference<unsigned char>(pad, &Pad::y, padded);
      pad.x = x_there.data();
      EXPECT_EQ(run_on_device<unsigned char>(pad, "pad", &Pad::y, padded), framed);

      const auto full = integer_data<unsigned char>(padded, 2, 0, 255);
      const DeviceBuffer<unsigned char> full_there(full);
      Crop crop{type, borders, full.data(), nullptr};
      const auto cropped = run_reference<unsigned char>(crop, &Crop::y, plain);
      crop.x = full_there.data();
      EXPECT_EQ(run_on_device<unsigned char>(crop, "crop", &Crop::y, plain), cropped);
    }
  }
}

TEST(CudaMaxPool, FindsTheLargest) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const int pad : {0, 1}) {
      MaxPoolForward args;
      args.shape.batch = 2;
      args.shape.in_h = 9;
      args.shape.in_w = 8;
      args.shape.in_c = args.shape.out_c = 5;
      args.shape.out_h = (9 + 2 * pad - 3) / 2 + 1;
      args.shape.out_w = (8 + 2 * pad - 3) / 2 + 1;
      args.shape.window = {3, 3, 2, 2, 1, 1, pad, pad};
      auto values = random_numbers(2 * 9 * 8 * 5, 1);
      values[100] = NAN;
      values[200] = -INFINITY;
      const TypedInput x(type, values);
      const auto count = static_cast<std::size_t>(2 * args.shape.out_h * args.shape.out_w * 5);
      args.x = x.host.data();
      const auto expected = run_reference<float>(args, &MaxPoolForward::y, count);
      args.type = type;
      args.x = x.device.data();
      const auto actual = run_typed(args, "max_pool", &MaxPoolForward::y, count);
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_TRUE(std::isnan(expected[i]) ? std::isnan(actual[i]) : actual[i] == expected[i]) << i;
      }
    }
  }
}

// Small whole numbers, so that windows have several largest ones: the first gets the gradient.
TEST(CudaMaxPool, SendsGradientsToTheFirstLargest) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const int stride : {1, 2}) {
      MaxPoolBackward args;
      args.shape.batch = 2;
      args.shape.in_h = 9;
      args.shape.in_w = 8;
      args.shape.in_c = args.shape.out_c = 5;
      args.shape.out_h = (9 + 2 - 3) / stride + 1;
      args.shape.out_w = (8 + 2 - 3) / stride + 1;
      args.shape.window = {3, 3, stride, stride, 1, 1, 1, 1};
      const TypedInput x(type, integer_data<float>(2 * 9 * 8 * 5, 1, 0, 3));
      const TypedInput dy(type, random_numbers(2 * args.shape.out_h * args.shape.out_w * 5, 2));
      args.x = x.host.data();
      args.dy = dy.host.data();
      const auto expected = run_reference<float>(args, &MaxPoolBackward::dx, 2 * 9 * 8 * 5);
      args.type = type;
      args.x = x.device.data();
      args.dy = dy.device.data();
      // Sums of up to nine numbers below 1.
      EXPECT_TRUE(close_each(run_typed(args, "max_pool_backward", &MaxPoolBackward::dx, 2 * 9 * 8 * 5),
                             expected, 2e-6 + 8 * half_unit(type)));
    }
  }
}

}  // namespace
}  // namespace pila::test::image_test
