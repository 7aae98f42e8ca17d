#include "apps/synth/sprite.h"

#include <algorithm>
#include <cmath>

#include "apps/synth/field.h"

namespace pila::synth {
namespace {

constexpr double kMargin = 7;  // mm around the thing, for its shadow
constexpr int kSamples = 3;    // in each direction of a pixel

// The members of Texel that are drawn; the shadow follows from them.
constexpr float Texel::*kMembers[] = {&Texel::red,      &Texel::green,    &Texel::blue,  &Texel::normal_x,
                                      &Texel::normal_y, &Texel::normal_z, &Texel::metal, &Texel::cover};

Sprite sized(const Thing& thing, double cosine, double sine, double scale, const Blur& blur) {
  const double length = thing.length(), width = thing.width();
  const double half_x = (length * std::abs(cosine) + width * std::abs(sine)) / 2 + kMargin;
  const double half_y = (length * std::abs(sine) + width * std::abs(cosine)) / 2 + kMargin;
  Sprite sprite;
  sprite.width = 2 * static_cast<int>(std::ceil(half_x * scale + blur.motion / 2)) + 1;
  sprite.height = 2 * static_cast<int>(std::ceil(half_y * scale)) + 1;
  sprite.height_mm = 0.7 * thing.height();
  sprite.texels.resize(static_cast<std::size_t>(sprite.width) * sprite.height);
  return sprite;
}

// Works on one member of all texels.
template <class Work>
void change(Sprite& sprite, float Texel::*member, const Work& work) {
  Field field(sprite.width, sprite.height);
  for (int y = 0; y < sprite.height; ++y) {
    for (int x = 0; x < sprite.width; ++x) field.at(x, y) = sprite.at(x, y).*member;
  }
  work(field);
  std::size_t i = 0;
  for (int y = 0; y < sprite.height; ++y) {
    for (int x = 0; x < sprite.width; ++x) sprite.texels[i++].*member = field.at(x, y);
  }
}

}  // namespace

Sprite draw_sprite(const Thing& thing, double angle, double pixels_per_mm, const Blur& blur) {
  const double cosine = std::cos(angle), sine = std::sin(angle);
  Sprite sprite = sized(thing, cosine, sine, pixels_per_mm, blur);
  constexpr float kShare = 1.0f / (kSamples * kSamples);
  Surface surface;
  std::size_t i = 0;
  for (int row = 0; row < sprite.height; ++row) {
    for (int column = 0; column < sprite.width; ++column, ++i) {
      Texel& texel = sprite.texels[i];
      for (int sample = 0; sample < kSamples * kSamples; ++sample) {
        const double px = column - sprite.width / 2 + (sample % kSamples + 0.5) / kSamples - 0.5;
        const double py = row - sprite.height / 2 + (sample / kSamples + 0.5) / kSamples - 0.5;
        const double x = px / pixels_per_mm, y = py / pixels_per_mm;
        if (!thing.surface(cosine * x + sine * y, -sine * x + cosine * y, surface)) continue;
        const Vector& n = surface.normal;
        const double norm = std::sqrt(n.x * n.x + n.y * n.y + n.z * n.z);
        texel.red += kShare * static_cast<float>(surface.colour.x);
        texel.green += kShare * static_cast<float>(surface.colour.y);
        texel.blue += kShare * static_cast<float>(surface.colour.z);
        texel.normal_x += kShare * static_cast<float>((cosine * n.x - sine * n.y) / norm);
        texel.normal_y += kShare * static_cast<float>((sine * n.x + cosine * n.y) / norm);
        texel.normal_z += kShare * static_cast<float>(n.z / norm);
        texel.metal += kShare * static_cast<float>(surface.metal);
        texel.cover += kShare;
      }
      texel.shadow = texel.cover;
    }
  }
  // Lamps all around leave a dark seam where the thing touches the belt, and a wide soft shadow.
  const double near = 0.05 * thing.height() * pixels_per_mm, far = 3 * near;
  change(sprite, &Texel::shadow, [&](Field& field) {
    Field wide = field;
    field.blur(near, near);
    wide.blur(far, far);
    for (int y = 0; y < field.height(); ++y) {
      for (int x = 0; x < field.width(); ++x) {
        field.at(x, y) = std::min(0.9f, 0.55f * field.at(x, y) + 0.5f * wide.at(x, y));
      }
    }
    field.smear(blur.motion);
  });
  for (float Texel::*const member : kMembers) {
    change(sprite, member, [&](Field& field) {
      field.blur(blur.focus, blur.focus);
      field.smear(blur.motion);
    });
  }
  return sprite;
}

}  // namespace pila::synth
