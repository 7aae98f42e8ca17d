#include "kernels/args/augment.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/augment_pictures.h"
#include "tests/support/random_data.h"

namespace pila::test::augment_test {
namespace {

using namespace kernels;

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
                         augment_tolerance(sizes, gain)));
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
}  // namespace pila::test::augment_test
