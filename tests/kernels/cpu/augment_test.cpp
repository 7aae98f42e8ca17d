#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/cpu/against_reference.h"
#include "tests/support/augment_pictures.h"

namespace pila::test {
namespace {

using namespace kernels;

constexpr const char* kAugment = "augment_f32";

Augment augment_args(const Sizes& sizes, const GuardedBuffer<std::uint8_t>& x,
                     const std::vector<AugmentPicture>& pictures) {
  Augment args;
  args.batch = sizes.batch;
  args.in_h = sizes.in_h;
  args.in_w = sizes.in_w;
  args.out_h = sizes.out_h;
  args.out_w = sizes.out_w;
  args.x = x.data();
  args.pictures = pictures.data();
  return args;
}

GuardedBuffer<std::uint8_t> pixels_of(const Sizes& sizes) {
  const auto count = static_cast<std::size_t>(sizes.batch * sizes.in_h * sizes.in_w * 3);
  return GuardedBuffer<std::uint8_t>(integer_data<std::uint8_t>(count, 7, 0, 255));
}

std::size_t outputs(const Augment& args) {
  return static_cast<std::size_t>(args.batch * args.out_h * args.out_w * 3);
}

double tolerance(const Sizes& sizes, const AugmentPicture& picture, float dropout = 0) {
  return augment_tolerance(
      sizes, std::max(1.0f, picture.contrast) * std::max(1.0f, picture.saturation) / (1 - dropout));
}

void expect_same(const Sizes& sizes, const AugmentPicture& picture, FillMode fill = FillMode::reflect,
                 float dropout = 0) {
  SCOPED_TRACE(testing::Message() << sizes.batch << " of " << sizes.in_h << " x " << sizes.in_w << " to "
                                  << sizes.out_h << " x " << sizes.out_w << ", fill "
                                  << static_cast<int>(fill));
  const auto x = pixels_of(sizes);
  const std::vector<AugmentPicture> pictures(static_cast<std::size_t>(sizes.batch), picture);
  Augment args = augment_args(sizes, x, pictures);
  args.fill = fill;
  args.dropout = dropout;
  EXPECT_TRUE(close_each(run_fast<float>(args, kAugment, &Augment::y, outputs(args)),
                         run_reference<float>(args, &Augment::y, outputs(args)),
                         tolerance(sizes, picture, dropout)));
}

const Sizes kSizes[] = {{1, 1, 2, 1, 1},  {2, 2, 1, 3, 2},    {1, 1, 3, 5, 7},      {3, 9, 7, 8, 15},
                        {2, 6, 5, 4, 16}, {2, 13, 11, 3, 17}, {1, 40, 29, 31, 33},  {0, 8, 8, 4, 4},
                        {1, 8, 8, 0, 4},  {4, 60, 80, 64, 1}, {2, 100, 75, 96, 96}, {1, 7, 300, 5, 47}};

TEST(CpuAugment, NothingIsACopy) {
  for (const Sizes& size : kSizes) {
    Sizes sizes = size;
    sizes.out_h = sizes.in_h;
    sizes.out_w = sizes.in_w;
    const auto x = pixels_of(sizes);
    const std::vector<AugmentPicture> pictures(static_cast<std::size_t>(sizes.batch));
    for (const FillMode fill : {FillMode::reflect, FillMode::constant, FillMode::nearest}) {
      Augment args = augment_args(sizes, x, pictures);
      args.fill = fill;
      EXPECT_TRUE(same_bits(run_fast<float>(args, kAugment, &Augment::y, outputs(args)),
                            std::vector<float>(x.begin(), x.end())));
    }
  }
}

TEST(CpuAugment, WarpsAtAllSizesAndEdges) {
  for (const Sizes& sizes : kSizes) {
    for (const FillMode fill : {FillMode::reflect, FillMode::constant, FillMode::nearest}) {
      expect_same(sizes, turned(sizes), fill);
    }
  }
}

TEST(CpuAugment, DoesEverythingAtOnce) {
  for (const Sizes& sizes : kSizes) {
    expect_same(sizes, everything(sizes), FillMode::reflect, 0.2f);
    AugmentPicture one_pass = everything(sizes);
    one_pass.contrast = 1;
    expect_same(sizes, one_pass, FillMode::reflect, 0.2f);
  }
}

TEST(CpuAugment, ReadsNothingBeyondThePicture) {
  const Sizes sizes = {1, 6, 5, 9, 20};
  for (const float move : {-1e30f, -1e9f, -1000.5f, -11.0f, -6.0f, -5.0f, -1.0f, -0.5f, 0.5f, 1.0f, 5.0f,
                           6.0f, 11.0f, 1000.5f, 1e9f, 1e30f}) {
    const auto x = pixels_of(sizes);
    const std::vector<AugmentPicture> pictures = {turned(sizes, move)};
    for (const FillMode fill : {FillMode::reflect, FillMode::constant, FillMode::nearest}) {
      Augment args = augment_args(sizes, x, pictures);
      args.fill = fill;
      const auto y = run_fast<float>(args, kAugment, &Augment::y, outputs(args));
      for (const float value : y) {
        ASSERT_GE(value, 0);
        ASSERT_LE(value, 255.001f) << "moved by " << move;
      }
      // Farther out than float32 can tell pixels apart, only the fills that do not repeat are determined.
      if (std::abs(move) < 2000 || fill != FillMode::reflect) {
        EXPECT_TRUE(close_each(y, run_reference<float>(args, &Augment::y, y.size()),
                               255 * 1.2e-7 * (8 * std::min(std::abs(move), 2000.0f) + 400)));
      }
    }
  }
}

TEST(CpuAugment, ReadsNothingBeyondThePictureWhenPositionsOverflow) {
  const Sizes sizes = {1, 6, 5, 9, 20};
  const auto x = pixels_of(sizes);
  for (const float sign : {-1.0f, 1.0f}) {
    std::vector<AugmentPicture> pictures(1);
    std::fill(std::begin(pictures[0].warp), std::end(pictures[0].warp), 3e38f);
    pictures[0].warp[0] = pictures[0].warp[4] = sign * 3e38f;
    for (const FillMode fill : {FillMode::reflect, FillMode::constant, FillMode::nearest}) {
      Augment args = augment_args(sizes, x, pictures);
      args.fill = fill;
      run_fast<float>(args, kAugment, &Augment::y, outputs(args));  // AddressSanitizer watches
    }
  }
}

TEST(CpuAugment, ColoursOneByOne) {
  const Sizes sizes = {2, 12, 10, 12, 19};
  const auto with = [&](auto change) {
    AugmentPicture picture = turned(sizes);
    change(picture);
    expect_same(sizes, picture);
  };
  for (const float value : {-0.5f, -0.01f, 0.01f, 0.34f, 0.5f, 1.0f}) {
    with([&](AugmentPicture& picture) { picture.hue = value; });
  }
  for (const float value : {0.0f, 0.5f, 2.0f}) {
    with([&](AugmentPicture& picture) { picture.saturation = value; });
    with([&](AugmentPicture& picture) { picture.contrast = value; });
  }
  for (const float value : {-255.0f, -30.0f, 70.0f, 255.0f}) {
    with([&](AugmentPicture& picture) { picture.brightness = value; });
  }
}

TEST(CpuAugment, ScalesEachChannel) {
  const Sizes sizes = {1, 8, 9, 8, 9};
  const auto x = pixels_of(sizes);
  const std::vector<AugmentPicture> pictures = {everything(sizes)};
  Augment args = augment_args(sizes, x, pictures);
  args.dropout = 0.5f;
  for (int c = 0; c < 3; ++c) {
    args.scale[c] = 1 / (127.5f + static_cast<float>(c));
    args.offset[c] = -1 + 0.25f * static_cast<float>(c);
  }
  EXPECT_TRUE(close_each(run_fast<float>(args, kAugment, &Augment::y, outputs(args)),
                         run_reference<float>(args, &Augment::y, outputs(args)),
                         tolerance(sizes, pictures[0], args.dropout) / 127));
}

TEST(CpuAugment, LeavesASinglePixelToTheReference) {
  const Sizes sizes = {2, 1, 1, 4, 4};
  const auto x = pixels_of(sizes);
  const std::vector<AugmentPicture> pictures(2, turned(sizes));
  Augment args = augment_args(sizes, x, pictures);
  EXPECT_STREQ(cpu::table().augment.select(args)->name, "reference");
  args.in_w = 2;
  EXPECT_STREQ(cpu::table().augment.select(args)->name, kAugment);
}

TEST(CpuMixReversed, RowsAndLengths) {
  for (const std::int64_t rows : {1, 2, 3, 8}) {
    for (const std::int64_t count : {1, 7, 16, 17, 1000, 40000}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << count);
      const auto size = static_cast<std::size_t>(rows * count);
      const GuardedBuffer<float> x(uniform_data<float>(size, 3));
      MixReversed args;
      args.rows = rows;
      args.count = count;
      args.weight = 0.3;
      args.x = x.data();
      // Three roundings of numbers below 1.
      EXPECT_TRUE(close_each(run_fast<float>(args, "mix_reversed_f32", &MixReversed::y, size),
                             run_reference<float>(args, &MixReversed::y, size), 2e-7));
    }
  }
}

}  // namespace
}  // namespace pila::test
