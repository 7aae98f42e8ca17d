// Augmentation with given factors against Keras' layers. golden_augment.py has the same cases under the same
// names.
#include "engine/ops/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "layers/picture_warp.h"
#include "tests/parity/device_under_test.h"
#include "tests/parity/golden_file.h"
#include "tests/support/random_data.h"

namespace pila::test {
namespace {

constexpr PictureSize kSize = {12, 10};

// Coarse squares under noise.
std::vector<std::uint8_t> picture() {
  std::vector<std::uint8_t> pixels;
  for (std::int64_t row = 0; row < kSize.height; ++row) {
    for (std::int64_t column = 0; column < kSize.width; ++column) {
      for (std::int64_t c = 0; c < 3; ++c) {
        const auto coarse = static_cast<std::size_t>((row / 3 * 4 + column / 3) * 3 + c);
        const double value = 0.75 * random_unit(seed_of("augment/coarse"), coarse) +
                             0.25 * random_unit(seed_of("augment/noise"), pixels.size());
        pixels.push_back(static_cast<std::uint8_t>(value * 256));
      }
    }
  }
  return pixels;
}

class Augment : public testing::TestWithParam<DeviceUnderTest> {
 protected:
  void check(const char* name, AugmentPicture changes, const PictureMovement& movement = {},
             FillMode fill = FillMode::reflect) {
    const std::array<float, 6> warp = warp_of(movement, kSize, kSize);
    std::copy(warp.begin(), warp.end(), changes.warp);
    const Tensor images = Tensor::from(ctx_, {1, kSize.height, kSize.width, 3}, picture());
    ops::AugmentOptions options;
    options.height = kSize.height;
    options.width = kSize.width;
    options.fill = fill;
    const Tensor y = ops::augment(ctx_, images, std::span(&changes, 1), options, type_);
    const auto [difference, expected] = golden_.distance(name, to_host(ctx_, y));
    EXPECT_LE(difference / expected, kTolerance) << name;
    worst_ = std::max(worst_, difference / expected);
  }
  void check_movement(const char* name, const PictureMovement& movement, FillMode fill = FillMode::reflect) {
    check(name, {}, movement, fill);
  }

  void TearDown() override {
    std::cout << "parity augment " << testing::UnitTest::GetInstance()->current_test_info()->name()
              << " max_rel_err " << worst_ << "\n";
  }

  // Keras computes positions in float32: some units in the last place of 20, on noise that changes by half of
  // the norm from pixel to pixel.
  static constexpr double kTolerance = 3e-6;
  const DType type_ = GetParam().type;
  const Context ctx_{GetParam().make()};
  const GoldenFile golden_{"augment.golden"};
  double worst_ = 0;
};

TEST_P(Augment, Flips) {
  check_movement("flip_horizontal", {.mirrored = true});
  check_movement("flip_vertical", {.upside_down = true});
  check_movement("flip_both", {.mirrored = true, .upside_down = true});
}

TEST_P(Augment, Rotation) {
  check_movement("rotation_18_degrees", {.turn = 0.05});
  check_movement("rotation_backwards", {.turn = -0.21});
  check_movement("rotation_constant", {.turn = 0.1}, FillMode::constant);
  check_movement("rotation_nearest", {.turn = 0.1}, FillMode::nearest);
}

TEST_P(Augment, Zoom) {
  check_movement("zoom_out", {.height_zoom = 1.3, .width_zoom = 1.3});
  check_movement("zoom_far_out", {.height_zoom = 2, .width_zoom = 2});
  check_movement("zoom_in", {.height_zoom = 0.7, .width_zoom = 0.7});
  check_movement("zoom_both", {.height_zoom = 0.8, .width_zoom = 1.4});
  check_movement("zoom_constant", {.height_zoom = 1.3, .width_zoom = 1.3}, FillMode::constant);
}

TEST_P(Augment, Translation) {
  check_movement("translation", {.down = 0.13, .right = -0.28});
  check_movement("translation_far", {.down = -1, .right = 0.93});
  check_movement("translation_constant", {.down = -0.13, .right = 0.28}, FillMode::constant);
  check_movement("translation_nearest", {.down = 0.13, .right = 0.28}, FillMode::nearest);
}

TEST_P(Augment, Colours) {
  check("contrast_up", {.contrast = 1.4f});
  check("contrast_down", {.contrast = 0.6f});
  check("brightness_up", {.brightness = 0.4f * 255});
  check("brightness_down", {.brightness = -0.3f * 255});
  check("saturation_up", {.saturation = 1.7f});
  check("saturation_down", {.saturation = 0.4f});
  check("hue_up", {.hue = 0.21f});
  check("hue_down", {.hue = -0.4f});
}

TEST_P(Augment, InARow) {
  check("battery", {.contrast = 1.3f, .brightness = -0.15f * 255}, {.mirrored = true, .turn = 0.04});
  check_movement("all_movements", {.upside_down = true,
                                   .turn = 0.07,
                                   .height_zoom = 1.2,
                                   .width_zoom = 0.9,
                                   .down = 0.1,
                                   .right = -0.05});
  check("colours", {.hue = -0.05f, .saturation = 1.3f, .contrast = 0.8f, .brightness = 0.1f * 255});
}

INSTANTIATE_TEST_SUITE_P(Keras, Augment, testing::Values(kReferenceInDouble, kCpuInFloat), precision_of);

}  // namespace
}  // namespace pila::test
