#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/cpu/against_reference.h"

namespace pila::test {
namespace {

using namespace kernels;

TEST(CpuImageToFloat, ChannelsAndLengths) {
  for (int channels = 1; channels <= kMaxImageChannels; ++channels) {
    for (const auto pixels : kLengths) {
      SCOPED_TRACE(testing::Message() << pixels << " pixels of " << channels);
      const auto count = static_cast<std::size_t>(pixels * channels);
      const GuardedBuffer<std::uint8_t> x(integer_data<std::uint8_t>(count, 1, 0, 255));
      ImageToFloat args;
      args.pixels = pixels;
      args.channels = channels;
      for (int c = 0; c < channels; ++c) {
        args.scale[c] = 1 / (127.5f + static_cast<float>(c));
        args.offset[c] = -1 + 0.25f * static_cast<float>(c);
      }
      args.x = x.data();
      // |y| < 2, rounded once here and once there.
      EXPECT_TRUE(close_each(run_fast<float>(args, "image_to_float_f32", &ImageToFloat::y, count),
                             run_reference<float>(args, &ImageToFloat::y, count), 1.2e-7));
    }
  }
}

TEST(CpuImageToFloat, SamePixelSameBitsAnywhere) {
  const std::vector<std::uint8_t> x(3 * 1001, 77);
  ImageToFloat args;
  args.pixels = 1001;
  for (int c = 0; c < 3; ++c) args.scale[c] = 1 / 58.4f, args.offset[c] = -2.1f;
  args.x = x.data();
  const auto y = run_fast<float>(args, "image_to_float_f32", &ImageToFloat::y, x.size());
  EXPECT_TRUE(same_bits(y, std::vector<float>(x.size(), y[0])));
}

ResizeBilinear resize_args(std::int64_t batch, std::int64_t in_h, std::int64_t in_w, std::int64_t out_h,
                           std::int64_t out_w, int channels) {
  ResizeBilinear args;
  args.batch = batch;
  args.in_h = in_h;
  args.in_w = in_w;
  args.out_h = out_h;
  args.out_w = out_w;
  args.channels = channels;
  return args;
}

std::size_t inputs(const ResizeBilinear& args) {
  return static_cast<std::size_t>(args.batch * args.in_h * args.in_w * args.channels);
}
std::size_t outputs(const ResizeBilinear& args) {
  return static_cast<std::size_t>(args.batch * args.out_h * args.out_w * args.channels);
}

void expect_same_resize(ResizeBilinear args) {
  SCOPED_TRACE(testing::Message() << args.batch << " x " << args.in_h << " x " << args.in_w << " x "
                                  << args.channels << " to " << args.out_h << " x " << args.out_w);
  const GuardedBuffer<std::uint8_t> bytes(integer_data<std::uint8_t>(inputs(args), 2, 0, 255));
  args.x = bytes.data();
  // Pixels up to 255: weights and two blends rounded to float32.
  EXPECT_TRUE(close_each(run_fast<float>(args, "resize_bilinear_f32", &ResizeBilinear::y, outputs(args)),
                         run_reference<float>(args, &ResizeBilinear::y, outputs(args)), 255 * 3e-7));
  const GuardedBuffer<float> floats(uniform_data<float>(inputs(args), 3));
  args.from = DType::f32;
  args.x = floats.data();
  EXPECT_TRUE(close_each(run_fast<float>(args, "resize_bilinear_f32", &ResizeBilinear::y, outputs(args)),
                         run_reference<float>(args, &ResizeBilinear::y, outputs(args)), 2 * 3e-7));
}

TEST(CpuResizeBilinear, UpDownAndOddSizes) {
  for (const int channels : {1, 2, 3, 4, 7}) {
    expect_same_resize(resize_args(1, 1, 1, 1, 1, channels));
    expect_same_resize(resize_args(1, 1, 1, 5, 7, channels));
    expect_same_resize(resize_args(2, 9, 7, 1, 1, channels));
    expect_same_resize(resize_args(2, 2, 3, 17, 13, channels));
    expect_same_resize(resize_args(3, 31, 45, 17, 13, channels));
    expect_same_resize(resize_args(1, 16, 16, 16, 16, channels));
    expect_same_resize(resize_args(1, 8, 6, 16, 12, channels));
    expect_same_resize(resize_args(1, 8, 600, 9, 3, channels));
  }
  expect_same_resize(resize_args(2, 480, 640, 224, 224, 3));
  expect_same_resize(resize_args(1, 100, 75, 224, 224, 3));
  expect_same_resize(resize_args(0, 8, 8, 4, 4, 3));
  expect_same_resize(resize_args(1, 8, 8, 0, 4, 3));
}

TEST(CpuResizeBilinear, SameSizeIsACopy) {
  auto args = resize_args(2, 37, 53, 37, 53, 3);
  const auto x = integer_data<std::uint8_t>(inputs(args), 4, 0, 255);
  args.x = x.data();
  EXPECT_TRUE(same_bits(run_fast<float>(args, "resize_bilinear_f32", &ResizeBilinear::y, x.size()),
                        std::vector<float>(x.begin(), x.end())));
}

// Rows and columns of one value stay so up to the edge: the edge is repeated.
TEST(CpuResizeBilinear, EdgesAreRepeated) {
  const std::vector<float> x = {0, 4};
  auto args = resize_args(1, 1, 2, 1, 4, 1);
  args.from = DType::f32;
  args.x = x.data();
  EXPECT_TRUE(same_bits(run_fast<float>(args, "resize_bilinear_f32", &ResizeBilinear::y, 4),
                        std::vector<float>{0, 1, 3, 4}));
}

TEST(CpuResizeBilinear, NanStaysWhereItIs) {
  auto args = resize_args(1, 20, 21, 33, 34, 3);
  auto x = uniform_data<float>(inputs(args), 5);
  x[3 * 100 + 1] = std::numeric_limits<float>::quiet_NaN();
  x[3 * 301 + 2] = std::numeric_limits<float>::infinity();
  args.from = DType::f32;
  args.x = x.data();
  EXPECT_TRUE(same_specials(run_fast<float>(args, "resize_bilinear_f32", &ResizeBilinear::y, outputs(args)),
                            run_reference<float>(args, &ResizeBilinear::y, outputs(args))));
}

}  // namespace
}  // namespace pila::test
