#include "kernels/args/image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::image_test {
namespace {

using test::close_each;
using test::GuardedBuffer;
using test::run_entry;
using test::Written;

TEST(ReferenceImageToFloat, ScalesAndShiftsEachChannel) {
  const std::vector<std::uint8_t> x{0, 255, 127, 1, 2, 3};
  GuardedBuffer<float> y(6);
  ImageToFloat args;
  args.pixels = 2;
  args.scale[0] = 2;
  args.scale[1] = 0.5f;
  args.offset[0] = -1;
  args.offset[2] = 10;
  args.x = x.data();
  args.y = y.data();
  run_entry(reference::table(), args);
  EXPECT_TRUE(y.check(Written::all));
  EXPECT_EQ(y.values(), (std::vector<float>{-1, 127.5f, 137, 1, 1, 13}));
}

TEST(ReferenceImageToFloat, TakesOneToFourChannelsInBothTypes) {
  const auto x = test::integer_data<std::uint8_t>(12, 1, 0, 255);
  for (int channels = 1; channels <= kMaxImageChannels; ++channels) {
    GuardedBuffer<double> y(12);
    ImageToFloat args;
    args.type = DType::f64;
    args.pixels = 12 / channels;
    args.channels = channels;
    for (int c = 0; c < channels; ++c) args.offset[c] = 1000.0f * static_cast<float>(c);
    args.x = x.data();
    args.y = y.data();
    run_entry(reference::table(), args);
    EXPECT_TRUE(y.check(Written::all));
    for (std::size_t i = 0; i < 12; ++i) {
      EXPECT_EQ(y[i], x[i] + 1000.0 * static_cast<double>(i % static_cast<std::size_t>(channels)));
    }
  }
  run_entry(reference::table(), ImageToFloat{});
}

template <class T>
constexpr DType kType = sizeof(T) == 8   ? DType::f64
                        : sizeof(T) == 4 ? DType::f32
                                         : DType::u8;

struct Size {
  std::int64_t h, w;
};

template <class To, class From>
std::vector<To> resized(const std::vector<From>& x, Size in, Size out, int channels = 1) {
  const auto batch = static_cast<std::int64_t>(x.size()) / (in.h * in.w * channels);
  GuardedBuffer<To> y(static_cast<std::size_t>(batch * out.h * out.w * channels));
  run_entry(reference::table(), ResizeBilinear{kType<From>, kType<To>, batch, in.h, in.w, out.h, out.w,
                                               channels, x.data(), y.data()});
  EXPECT_TRUE(y.check(Written::all));
  return y.values();
}

TEST(ReferenceResize, GivesHandWorkedValues) {
  const std::vector<double> two{0, 1}, three{0, 1, 2}, five{0, 1, 4, 9, 16};
  EXPECT_EQ(resized<double>(two, {1, 2}, {1, 4}), (std::vector<double>{0, 0.25, 0.75, 1}));
  EXPECT_EQ(resized<double>(two, {2, 1}, {4, 1}), (std::vector<double>{0, 0.25, 0.75, 1}));
  EXPECT_EQ(resized<double>(three, {1, 3}, {1, 2}), (std::vector<double>{0.25, 1.75}));
  // Centres 1/3, 2 and 11/3: between 0 and 1, at 4, between 9 and 16.
  EXPECT_TRUE(
      close_each(resized<double>(five, {1, 5}, {1, 3}), std::vector<double>{1.0 / 3, 4, 41.0 / 3}, 1e-14));
  // Without smoothing, shrinking by 4 looks at the two middle pixels only.
  EXPECT_EQ(resized<double>(std::vector<double>{9, 2, 4, 9}, {1, 4}, {1, 1}), std::vector<double>{3});
  EXPECT_EQ(resized<double>(two, {1, 2}, {1, 1}), std::vector<double>{0.5});
  EXPECT_EQ(resized<double>(std::vector<double>{7}, {1, 1}, {2, 3}), std::vector<double>(6, 7.0));
}

TEST(ReferenceResize, ToTheSameSizeChangesNothing) {
  const auto x = test::uniform_data<float>(2 * 5 * 7 * 3, 1);
  EXPECT_EQ(resized<float>(x, {5, 7}, {5, 7}, 3), x);
  const auto pixels = test::integer_data<std::uint8_t>(2 * 5 * 7 * 3, 1, 0, 255);
  EXPECT_EQ(resized<float>(pixels, {5, 7}, {5, 7}, 3), std::vector<float>(pixels.begin(), pixels.end()));
}

// The same interpolation written as a sum over all pixels with hat-shaped weights.
template <class From>
std::vector<double> resized_by_hats(const std::vector<From>& x, Size in, Size out, std::size_t channels) {
  const auto weight = [](std::int64_t to, std::int64_t from, std::int64_t in_size, std::int64_t out_size) {
    const double centre = (2.0 * static_cast<double>(to) + 1) * static_cast<double>(in_size) /
                              (2.0 * static_cast<double>(out_size)) -
                          0.5;
    const double inside = std::min(std::max(centre, 0.0), static_cast<double>(in_size - 1));
    return std::max(0.0, 1 - std::abs(inside - static_cast<double>(from)));
  };
  const auto in_pixels = static_cast<std::size_t>(in.h * in.w), batch = x.size() / (in_pixels * channels);
  std::vector<double> y;
  for (std::size_t n = 0; n < batch; ++n) {
    for (std::int64_t oh = 0; oh < out.h; ++oh) {
      for (std::int64_t ow = 0; ow < out.w; ++ow) {
        for (std::size_t c = 0; c < channels; ++c) {
          double sum = 0;
          for (std::int64_t ih = 0; ih < in.h; ++ih) {
            for (std::int64_t iw = 0; iw < in.w; ++iw) {
              const auto pixel = n * in_pixels + static_cast<std::size_t>(ih * in.w + iw);
              sum += weight(oh, ih, in.h, out.h) * weight(ow, iw, in.w, out.w) * x[pixel * channels + c];
            }
          }
          y.push_back(sum);
        }
      }
    }
  }
  return y;
}

TEST(ReferenceResize, AgreesWithHatWeightsFromEveryTypeToEveryType) {
  const std::pair<Size, Size> sizes[] = {
      {{4, 6}, {8, 12}}, {{9, 7}, {4, 5}}, {{3, 10}, {7, 4}}, {{1, 5}, {6, 2}}};
  for (const auto& [in, out] : sizes) {
    const auto count = static_cast<std::size_t>(3 * in.h * in.w * 2);
    const auto bytes = test::integer_data<std::uint8_t>(count, 1, 0, 255);
    const auto narrow = test::uniform_data<float>(count, 2);
    const auto wide = test::uniform_data<double>(count, 3);
    // Values up to 255 for bytes, up to 1 for the others; float32 results are rounded once.
    EXPECT_TRUE(close_each(resized<double>(bytes, in, out, 2), resized_by_hats(bytes, in, out, 2), 1e-12));
    EXPECT_TRUE(close_each(resized<float>(bytes, in, out, 2), resized_by_hats(bytes, in, out, 2), 1e-5));
    EXPECT_TRUE(close_each(resized<double>(narrow, in, out, 2), resized_by_hats(narrow, in, out, 2), 1e-14));
    EXPECT_TRUE(close_each(resized<float>(narrow, in, out, 2), resized_by_hats(narrow, in, out, 2), 6e-8));
    EXPECT_TRUE(close_each(resized<double>(wide, in, out, 2), resized_by_hats(wide, in, out, 2), 1e-14));
    EXPECT_TRUE(close_each(resized<float>(wide, in, out, 2), resized_by_hats(wide, in, out, 2), 6e-8));
  }
}

TEST(ReferenceResize, RefusesToMakePixelsOutOfNothing) {
  const auto& entry = reference::table().resize_bilinear;
  ResizeBilinear args;
  args.batch = 1;
  args.out_h = args.out_w = 2;
  EXPECT_EQ(entry.select(args), nullptr);
  args.batch = 0;
  run_entry(reference::table(), args);
}

}  // namespace
}  // namespace pila::kernels::image_test
