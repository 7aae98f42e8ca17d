#include "apps/synth/cylinder.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pila::synth {

Vector round_normal(double across) { return {0, across, std::sqrt(std::max(0.0, 1 - across * across))}; }

Vector colour_at(const media::Image& image, double u, double v) {
  const double x = std::clamp(u, 0.0, 1.0) * static_cast<double>(image.width - 1);
  const double y = (v - std::floor(v)) * static_cast<double>(image.height);
  const auto left = static_cast<std::int64_t>(x), top = static_cast<std::int64_t>(y) % image.height;
  const auto right = std::min(left + 1, image.width - 1), bottom = (top + 1) % image.height;
  const double a = x - std::floor(x), b = y - std::floor(y);
  const auto channel = [&](int c) {
    const auto value = [&](std::int64_t column, std::int64_t row) {
      return static_cast<double>(
          image.pixels[static_cast<std::size_t>(3 * (row * image.width + column) + c)]);
    };
    const double mixed = (1 - b) * ((1 - a) * value(left, top) + a * value(right, top)) +
                         b * ((1 - a) * value(left, bottom) + a * value(right, bottom));
    return mixed * mixed / (255 * 255);
  };
  return {channel(0), channel(1), channel(2)};
}

Cylinder::Cylinder(media::Image label, double length, double diameter, double roll)
    : length_(length), radius_(diameter / 2), roll_(roll), label_(std::move(label)) {}

bool Cylinder::surface(double x, double y, Surface& found) const {
  const double end = length_ / 2, inside = end - std::abs(x);
  if (inside < 0) return pole(x - end, y, found);
  const double rounding = std::max(0.0, 1 - inside / kRounding);
  const double radius = radius_ - 0.5 * kRounding * rounding * rounding;
  if (std::abs(y) > radius) return false;
  found.normal = round_normal(y / radius);
  found.normal.x = 0.8 * rounding * (x > 0 ? 1 : -1);
  if (inside < kRim) {
    found.colour = kSteel;
    found.metal = 1;
  } else {
    found.colour = colour_at(label_, x / length_ + 0.5, std::asin(y / radius) / (2 * kPi) + roll_);
    found.metal = 0.25;
  }
  return true;
}

bool Cylinder::pole(double beyond, double y, Surface& found) const {
  const double radius = 0.36 * radius_;
  if (beyond < 0 || beyond > kPole || std::abs(y) > radius) return false;
  found = {kSteel, round_normal(y / radius), 1};
  return true;
}

}  // namespace pila::synth
