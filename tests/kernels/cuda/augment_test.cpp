#include "kernels/args/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test {
namespace {

using namespace kernels;

struct Sizes {
  std::int64_t batch, in_h, in_w, out_h, out_w;
};

// Turned by 0.3 and enlarged by a tenth about the centre, stretched to the output.
AugmentPicture turned(const Sizes& sizes) {
  AugmentPicture picture;
  const auto from_h = static_cast<float>(sizes.in_h), from_w = static_cast<float>(sizes.in_w);
  const auto to_h = static_cast<float>(sizes.out_h), to_w = static_cast<float>(sizes.out_w);
  const float cosine = 0.9f * std::cos(0.3f), sine = 0.9f * std::sin(0.3f);
  const float entries[] = {cosine * from_w / to_w, -sine * from_w / to_w,  0.1f * from_w,
                           sine * from_h / to_h,   cosine * from_h / to_h, -0.1f * from_h};
  std::copy(std::begin(entries), std::end(entries), picture.warp);
  return picture;
}

AugmentPicture everything(const Sizes& sizes) {
  AugmentPicture picture = turned(sizes);
  picture.hue = -0.13f;
  picture.saturation = 1.4f;
  picture.contrast = 1.3f;
  picture.brightness = -20;
  picture.erase_top = static_cast<std::int32_t>(sizes.out_h / 4);
  picture.erase_bottom = static_cast<std::int32_t>(sizes.out_h / 2);
  picture.erase_left = static_cast<std::int32_t>(sizes.out_w / 5);
  picture.erase_right = static_cast<std::int32_t>(sizes.out_w - 1);
  for (int c = 0; c < 3; ++c) picture.erase_colour[c] = 40.0f * static_cast<float>(c + 1);
  picture.key[0] = 0xDEADBEEFu;
  picture.key[1] = 0x12345678u;
  return picture;
}

// A position is good to a few units in the last place of the largest coordinate, and noise changes by up to
// 255 from one pixel to the next; colours are blended and moved in a dozen roundings of numbers up to 255.
double tolerance(const Sizes& sizes, float gain) {
  const auto extent = static_cast<double>(std::max({sizes.in_h, sizes.in_w, sizes.out_h, sizes.out_w}));
  return 255 * 1.2e-7 * (2 * 4 * extent + 40) * static_cast<double>(gain);
}

void expect_agreement(const Sizes& sizes, const std::vector<AugmentPicture>& pictures, FillMode fill,
                      float dropout, float gain) {
  SCOPED_TRACE(testing::Message() << sizes.in_h << " x " << sizes.in_w << " to " << sizes.out_h << " x "
                                  << sizes.out_w << ", fill " << static_cast<int>(fill));
  const auto x = integer_data<std::uint8_t>(
      static_cast<std::size_t>(sizes.batch * sizes.in_h * sizes.in_w * 3), 7, 0, 255);
  const DeviceBuffer<std::uint8_t> x_there(x);
  const DeviceBuffer<AugmentPicture> pictures_there(pictures);
  Augment args;
  args.fill = fill;
  args.batch = sizes.batch;
  args.in_h = sizes.in_h;
  args.in_w = sizes.in_w;
  args.out_h = sizes.out_h;
  args.out_w = sizes.out_w;
  args.dropout = dropout;
  args.x = x.data();
  args.pictures = pictures.data();
  const auto count = static_cast<std::size_t>(sizes.batch * sizes.out_h * sizes.out_w * 3);
  const auto expected = run_reference<float>(args, &Augment::y, count);
  args.x = x_there.data();
  args.pictures = pictures_there.data();
  EXPECT_TRUE(close_each(run_on_device<float>(args, "augment", &Augment::y, count), expected,
                         tolerance(sizes, gain)));
}

// One pixel, less and more than a block, and more pixels than a picture's blocks have threads.
TEST(CudaAugment, WarpsAsTheReference) {
  PILA_NEEDS_DEVICE();
  for (const FillMode fill : {FillMode::reflect, FillMode::constant, FillMode::nearest}) {
    for (const Sizes& sizes : {Sizes{1, 1, 1, 1, 1}, Sizes{2, 5, 7, 15, 17}, Sizes{2, 20, 16, 16, 17}}) {
      expect_agreement(sizes, {static_cast<std::size_t>(sizes.batch), turned(sizes)}, fill, 0, 1);
    }
  }
  const Sizes large{1, 40, 40, 129, 128};
  expect_agreement(large, {turned(large)}, FillMode::reflect, 0, 1);
}

// Each picture has changes of its own.
TEST(CudaAugment, ColoursErasesAndDropsAsTheReference) {
  PILA_NEEDS_DEVICE();
  const Sizes sizes{3, 24, 20, 24, 32};
  AugmentPicture brighter;
  brighter.brightness = 30;
  expect_agreement(sizes, {everything(sizes), AugmentPicture(), brighter}, FillMode::reflect, 0, 2);
  expect_agreement(sizes, {everything(sizes), AugmentPicture(), brighter}, FillMode::reflect, 0.25f, 3);
}

TEST(CudaMixReversed, MixesRows) {
  PILA_NEEDS_DEVICE();
  for (const std::int64_t rows : {1, 2, 5}) {
    const auto count = static_cast<std::size_t>(rows * 7);
    const auto x = uniform_data<float>(count, 1);
    const DeviceBuffer<float> there(x);
    MixReversed args{DType::f32, rows, 7, 0.7, x.data(), nullptr};
    const auto expected = run_reference<float>(args, &MixReversed::y, count);
    args.x = there.data();
    EXPECT_TRUE(
        close_each(run_on_device<float>(args, "mix_reversed", &MixReversed::y, count), expected, 2e-7));
  }
}

}  // namespace
}  // namespace pila::test
