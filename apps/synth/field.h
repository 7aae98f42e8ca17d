// Grids of numbers: noise that looks like dirt and wear, and blurring.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/core/random.h"

namespace pila::synth {

class Field {
 public:
  Field(int width, int height, float value = 0)
      : width_(width), height_(height), values_(static_cast<std::size_t>(width) * height, value) {}

  // Smooth noise around 0.5, mostly in 0..1; its largest spots are about `spot` across, finer ones lie on
  // top.
  static Field noise(Random& random, int width, int height, double spot);

  int width() const { return width_; }
  int height() const { return height_; }
  float& at(int x, int y) { return values_[static_cast<std::size_t>(y) * width_ + x]; }
  float at(int x, int y) const { return values_[static_cast<std::size_t>(y) * width_ + x]; }
  // Bilinear; beyond its edges the field goes on as it ends.
  float sample(double x, double y) const;

  // About a Gaussian of this deviation along x and y; edges are repeated.
  void blur(double deviation_x, double deviation_y);
  // The mean over `length` along x; edges are repeated.
  void smear(double length);

 private:
  int width_, height_;
  std::vector<float> values_;
};

}  // namespace pila::synth
