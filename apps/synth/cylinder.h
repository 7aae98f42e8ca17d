// A round battery with its label wrapped around it, and what other bodies share with it.
#pragma once

#include "apps/media/image.h"
#include "apps/synth/thing.h"

namespace pila::synth {

constexpr Vector kSteel = {0.42, 0.42, 0.41};

// The normal at `across`, from -1 to 1, of a round body that lies along x.
Vector round_normal(double across);

// u and v in 0..1; v begins again at 1. Colours are squared: sums of light are wanted, not of pixel values.
Vector colour_at(const media::Image& image, double u, double v);

class Cylinder : public Thing {
 public:
  static constexpr double kPi = 3.14159265358979323846;

  // The label is unrolled: x from the minus to the plus end, y once around. Millimetres; `roll` is the share
  // of a turn by which it is rolled about its axis.
  Cylinder(media::Image label, double length, double diameter, double roll);

  double length() const override { return length_ + 2 * kPole; }
  double width() const override { return 2 * radius_; }
  double height() const override { return 2 * radius_; }
  bool surface(double x, double y, Surface& found) const override;

 private:
  static constexpr double kPole = 1.6, kRim = 0.7, kRounding = 0.8;
  bool pole(double beyond, double y, Surface& found) const;

  double length_, radius_, roll_;
  media::Image label_;
};

}  // namespace pila::synth
