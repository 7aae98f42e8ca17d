#include "apps/synth/thing.h"

#include <algorithm>
#include <cmath>

#include "apps/synth/cylinder.h"
#include "apps/synth/draw.h"
#include "apps/synth/field.h"
#include "apps/synth/label.h"

namespace pila::synth {
namespace {

constexpr double kPixelsPerMillimetre = 5;

int pixels(double millimetres) { return static_cast<int>(millimetres * kPixelsPerMillimetre); }

// How worn a specimen is; most are a little.
double draw_wear(Random& random) { return 0.15 + 0.75 * between(random, 0, 1) * between(random, 0, 1); }

// Lies on its broad side.
class Block : public Thing {
 public:
  Block(Random specimen, Random position) : back_(chance(position, 0.5)) {
    const Colours colours = draw_colours(specimen);
    const double wear = draw_wear(specimen);
    constexpr Layout kLayouts[] = {Layout::cap, Layout::rings, Layout::stripes};
    const Layout layout = pick(specimen, kLayouts);
    label_ = battery_label(specimen, layout, colours, pixels(kLength), pixels(2 * kWidth));
    wear_out(label_, specimen, wear, true);
  }
  double length() const override { return kLength + 2 * kSnap; }
  double width() const override { return kWidth; }
  double height() const override { return 17.5; }

  bool surface(double x, double y, Surface& found) const override {
    const double inside_x = kLength / 2 - std::abs(x), inside_y = kWidth / 2 - std::abs(y);
    if (inside_x < 0) return snap(x - kLength / 2, y, found);
    if (inside_y < 0) return false;
    const double bevel = std::max(0.0, 1 - inside_y / kBevel);
    found.normal = round_normal(0.85 * bevel * (y > 0 ? 1 : -1));
    if (inside_x < kRim) {
      found.colour = kSteel;
      found.metal = 1;
    } else {
      found.colour = colour_at(label_, x / kLength + 0.5, (y / kWidth + 0.5) / 2 + (back_ ? 0.5 : 0));
      found.metal = 0.25;
    }
    return true;
  }

 private:
  static constexpr double kLength = 45, kWidth = 26, kSnap = 2.6, kRim = 1.2, kBevel = 1.6;

  // The wide and the narrow contact, seen from the side.
  bool snap(double beyond, double y, Surface& found) const {
    constexpr double kFromMiddle = 6.4, kWide = 4.2, kNarrow = 2.8;
    if (beyond < 0 || beyond > kSnap) return false;
    const bool wide = y < 0;
    const double across = (std::abs(y) - kFromMiddle) / (wide ? kWide : kNarrow);
    if (std::abs(across) > 1) return false;
    found = {kSteel, round_normal(across), 1};
    return true;
  }

  bool back_;
  media::Image label_;
};

class Coin : public Thing {
 public:
  Coin(Random specimen, Random position) {
    radius_ = between(specimen, 8, 12.2);
    const double wear = draw_wear(specimen);
    media::Image faces[2];
    for (int side = 0; side < 2; ++side) {
      faces[side] = coin_face(specimen, side == 0, pixels(2 * radius_));
      wear_out(faces[side], specimen, wear, false);
    }
    face_ = std::move(faces[chance(position, 0.5)]);
  }
  double length() const override { return 2 * radius_; }
  double width() const override { return 2 * radius_; }
  double height() const override { return 3.2; }

  bool surface(double x, double y, Surface& found) const override {
    const double distance = std::hypot(x, y) / radius_;
    if (distance > 1) return false;
    found.colour = colour_at(face_, x / (2 * radius_) + 0.5, 0.999 * (y / (2 * radius_) + 0.5));
    found.metal = 0.8;
    constexpr double kEdge = 0.9;
    const double slope = std::max(0.0, distance - kEdge) / (1 - kEdge);
    const double lean = 0.75 * slope * slope / std::max(distance, 1e-6);
    // Turned on a lathe: fine rings catch the light.
    const double rings = 0.12 * std::sin(5 * radius_ * distance);
    found.normal = {x / radius_ * (lean + rings), y / radius_ * (lean + rings), 1};
    return true;
  }

 private:
  double radius_;
  media::Image face_;
};

// A flat cell in foil, with two tabs.
class Pouch : public Thing {
 public:
  Pouch(Random specimen, Random position)
      : length_(between(specimen, 44, 58)),
        width_(between(specimen, 26, 36)),
        bumps_(bumps(specimen, length_, width_)),
        turned_(chance(position, 0.3)) {
    const Colours colours = draw_colours(specimen);
    const double wear = draw_wear(specimen);
    label_ = pouch_label(specimen, colours, pixels(length_), pixels(width_));
    if (turned_) label_ = pouch_back(specimen, label_);
    wear_out(label_, specimen, wear, false);
  }
  double length() const override { return length_ + 2 * kTab; }
  double width() const override { return width_; }
  double height() const override { return 5; }

  bool surface(double x, double y, Surface& found) const override {
    const double inside_x = length_ / 2 - std::abs(x), inside_y = width_ / 2 - std::abs(y);
    if (inside_x < 0) return tab(x - length_ / 2, y, found);
    if (inside_y < 0) return false;
    found.colour = colour_at(label_, x / length_ + 0.5, 0.999 * (y / width_ + 0.5));
    found.metal = 0.6;
    const auto slope = [](double inside) { return 0.7 * std::max(0.0, 1 - inside / kSeam); };
    const auto height_at = [&](double px, double py) {
      return static_cast<double>(bumps_.sample((px + length_ / 2) * kBumps, (py + width_ / 2) * kBumps));
    };
    const double step = 0.5, here = height_at(x, y);
    found.normal = {slope(inside_x) * (x > 0 ? 1 : -1) - 1.3 * (height_at(x + step, y) - here),
                    slope(inside_y) * (y > 0 ? 1 : -1) - 1.3 * (height_at(x, y + step) - here), 1};
    return true;
  }

 private:
  static constexpr double kTab = 5, kSeam = 3, kBumps = 2;  // kBumps: grid points in a millimetre

  static Field bumps(Random& random, double length, double width) {
    return Field::noise(random, static_cast<int>(kBumps * length), static_cast<int>(kBumps * width), 14);
  }

  // The side without a label is bare foil.
  static media::Image pouch_back(Random& random, media::Image front) {
    const auto grey = static_cast<std::uint8_t>(whole(random, 160, 190));
    std::ranges::fill(front.pixels, grey);
    return front;
  }

  bool tab(double beyond, double y, Surface& found) const {
    const double across = (std::abs(y) - 0.25 * width_) / (0.09 * width_);
    if (beyond < 0 || beyond > kTab || std::abs(across) > 1) return false;
    constexpr Vector kTape = {0.5, 0.3, 0.05};
    const bool taped = beyond < 0.35 * kTab;
    found = {taped ? kTape : kSteel, {0.2 * (beyond / kTab), 0.1 * across, 1}, taped ? 0.1 : 0.9};
    return true;
  }

  double length_, width_;
  Field bumps_;
  bool turned_;
  media::Image label_;
};

class Board : public Thing {
 public:
  Board(Random specimen, Random) : length_(between(specimen, 42, 62)), width_(between(specimen, 24, 40)) {
    const double wear = draw_wear(specimen);
    hole_ = between(specimen, 1.2, 1.9);
    broken_ = chance(specimen, 0.4) ? between(specimen, 5, 14) : 0;
    circuit_ = circuit(specimen, pixels(length_), pixels(width_));
    wear_out(circuit_, specimen, wear, false);
  }
  double length() const override { return length_; }
  double width() const override { return width_; }
  double height() const override { return 3; }

  bool surface(double x, double y, Surface& found) const override {
    const double inside_x = length_ / 2 - std::abs(x), inside_y = width_ / 2 - std::abs(y);
    if (inside_x < 0 || inside_y < 0) return false;
    constexpr double kHoleInset = 3;
    if (std::hypot(inside_x - kHoleInset, inside_y - kHoleInset) < hole_) return false;
    if (x < 0 && y < 0 && inside_x + 0.8 * inside_y < broken_) return false;  // a corner that broke off
    found = {colour_at(circuit_, x / length_ + 0.5, 0.999 * (y / width_ + 0.5)), {0, 0, 1}, 0.2};
    return true;
  }

 private:
  double length_, width_, hole_, broken_;
  media::Image circuit_;
};

template <Layout layout, int length_tenths, int diameter_tenths>
std::unique_ptr<Thing> cylinder(Random specimen, Random position) {
  constexpr double kLength = length_tenths / 10.0, kDiameter = diameter_tenths / 10.0;
  const Colours colours = draw_colours(specimen);
  const double wear = draw_wear(specimen);
  media::Image label =
      battery_label(specimen, layout, colours, pixels(kLength), pixels(Cylinder::kPi * kDiameter));
  wear_out(label, specimen, wear, true);
  return std::make_unique<Cylinder>(std::move(label), kLength, kDiameter, between(position, 0, 1));
}

template <class T>
std::unique_ptr<Thing> other(Random specimen, Random position) {
  return std::make_unique<T>(specimen, position);
}

// Those that are hard to tell apart come first, so that a data set of few classes is no easier.
constexpr Kind kKinds[] = {
    {"AA_alkaline", cylinder<Layout::cap, 495, 145>},
    {"AA_rechargeable", cylinder<Layout::rings, 495, 145>},
    {"AA_lithium", cylinder<Layout::stripes, 495, 145>},
    {"C_alkaline", cylinder<Layout::cap, 480, 260>},
    {"9V_block", other<Block>},
    {"pouch_cell", other<Pouch>},
    {"coin_cell", other<Coin>},
    {"circuit_board", other<Board>},
};

}  // namespace

std::span<const Kind> kinds() { return kKinds; }

}  // namespace pila::synth
