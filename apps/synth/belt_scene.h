// What a webcam inside a ring of lamps sees of a conveyor belt: the belt, what lies on it, light and noise.
#pragma once

#include <span>
#include <vector>

#include "apps/media/image.h"
#include "apps/synth/field.h"
#include "apps/synth/ring_light.h"
#include "apps/synth/sprite.h"
#include "engine/core/random.h"

namespace pila::synth {

// The belt moves along x, to the right.
struct BeltCamera {
  static constexpr double kView = 58;  // mm along the picture's shorter side: a battery fits in at any angle

  int width = 640, height = 360;
  double belt_mm_per_s = 100;

  double mm_per_pixel() const { return kView / (width < height ? width : height); }
  double field() const { return mm_per_pixel() * width; }  // mm of belt in view
};

// What makes pictures bad.
struct Conditions {
  double exposure_s = 0;          // time that the shutter is open
  double focus_mm = 0;            // deviation of the blur
  double light = 1;               // 1: well exposed
  double flicker = 0, noise = 0;  // shares of the light; grey values
  double dirt = 0, wear = 0;      // of belt and lens; of things; 0 to 1

  Blur blur(const BeltCamera& camera) const {
    return {focus_mm / camera.mm_per_pixel(), exposure_s * camera.belt_mm_per_s / camera.mm_per_pixel()};
  }
};

struct Placed {
  const Sprite* sprite = nullptr;
  double x = 0, y = 0;  // of the thing's middle, in pixels of the picture
};

class BeltScene {
 public:
  BeltScene(const BeltCamera& camera, const Conditions& conditions, std::uint64_t seed);

  // The picture taken at that second. `noise` is the sensor's.
  media::Image take(double seconds, std::span<const Placed> things, Random noise) const;

 private:
  struct Pixel {
    float red, green, blue;
  };
  void draw_belt(double seconds, std::vector<Pixel>& light) const;
  void draw_thing(const Placed& thing, std::vector<Pixel>& light) const;
  media::Image expose(double seconds, const std::vector<Pixel>& light, Random& noise) const;
  void make_surface(Random random);
  void make_lens(Random random);

  BeltCamera camera_;
  Conditions conditions_;
  RingLight ring_;
  Pixel belt_colour_, stain_colour_;
  Field surface_, stains_;  // of the whole belt: its lightness, and how much of it is stained
  Field lit_;               // light on an empty belt, by pixel
  Field lens_;              // share of the light that the lens lets through
  double flicker_phase_;
};

}  // namespace pila::synth
