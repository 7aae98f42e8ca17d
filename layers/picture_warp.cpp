#include "layers/picture_warp.h"

#include <cmath>

namespace pila {
namespace {

constexpr double kPi = 3.14159265358979323846;

// x' = a x + b y + c, y' = d x + e y + f.
struct Affine {
  double a, b, c, d, e, f;
};

// The position that `inner` gives, moved on by `outer`.
Affine compose(const Affine& outer, const Affine& inner) {
  return {outer.a * inner.a + outer.b * inner.d,           outer.a * inner.b + outer.b * inner.e,
          outer.a * inner.c + outer.b * inner.f + outer.c, outer.d * inner.a + outer.e * inner.d,
          outer.d * inner.b + outer.e * inner.e,           outer.d * inner.c + outer.e * inner.f + outer.f};
}

// The matrix (a b; d e) about a picture's centre.
Affine about_centre(double height, double width, double a, double b, double d, double e) {
  const double x = (width - 1) / 2, y = (height - 1) / 2;
  return {a, b, x - a * x - b * y, d, e, y - d * x - e * y};
}

}  // namespace

// Layers work one after the other, each reading where the one before it wrote: a position goes through them
// from the last to the first.
std::array<float, 6> warp_of(const PictureMovement& movement, PictureSize from, PictureSize to) {
  const auto height = static_cast<double>(to.height), width = static_cast<double>(to.width);
  const Affine translation = {1, 0, -movement.right * width, 0, 1, -movement.down * height};
  const Affine zoom = about_centre(height, width, movement.width_zoom, 0, 0, movement.height_zoom);
  const double cosine = std::cos(2 * kPi * movement.turn), sine = std::sin(2 * kPi * movement.turn);
  const Affine rotation = about_centre(height, width, cosine, -sine, sine, cosine);
  const Affine flip =
      about_centre(height, width, movement.mirrored ? -1 : 1, 0, 0, movement.upside_down ? -1 : 1);
  const double x_ratio = static_cast<double>(from.width) / width;
  const double y_ratio = static_cast<double>(from.height) / height;
  const Affine stretch = {x_ratio, 0, (x_ratio - 1) / 2, 0, y_ratio, (y_ratio - 1) / 2};

  const Affine warp = compose(stretch, compose(flip, compose(rotation, compose(zoom, translation))));
  return {static_cast<float>(warp.a), static_cast<float>(warp.b), static_cast<float>(warp.c),
          static_cast<float>(warp.d), static_cast<float>(warp.e), static_cast<float>(warp.f)};
}

}  // namespace pila
