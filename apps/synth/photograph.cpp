#include "apps/synth/photograph.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "apps/synth/draw.h"
#include "apps/synth/field.h"

namespace pila::synth {
namespace {

constexpr double kPi = 3.14159265358979323846;

Vector operator+(const Vector& a, const Vector& b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
Vector operator*(const Vector& a, const Vector& b) { return {a.x * b.x, a.y * b.y, a.z * b.z}; }
Vector operator*(double s, const Vector& a) { return {s * a.x, s * a.y, s * a.z}; }
double dot(const Vector& a, const Vector& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
Vector unit(const Vector& a) { return 1 / std::sqrt(dot(a, a)) * a; }
Vector mix(const Vector& a, const Vector& b, double share) { return (1 - share) * a + share * b; }

struct Light {
  Vector direction;  // to the lamp
  Vector colour;
  double ambient, fall_off_x, fall_off_y;  // the lamp's light over the picture is uneven

  explicit Light(Random& random) {
    const double around = between(random, 0, 2 * kPi), steep = between(random, 0.45, 0.95);
    direction = unit({steep * std::cos(around), steep * std::sin(around), 1});
    const double exposure = between(random, 0.75, 1.3), warm = between(random, -0.1, 0.1);
    colour = {exposure * (1 + warm), exposure, exposure * (1 - warm)};
    ambient = between(random, 0.2, 0.4);
    fall_off_x = between(random, -0.2, 0.2);
    fall_off_y = between(random, -0.2, 0.2);
  }

  // x and y from -1 to 1 over the picture.
  Vector at(double x, double y) const { return (1 + fall_off_x * x + fall_off_y * y) * colour; }
};

// What a glossy or metal surface mirrors: a bright ceiling with darker walls.
double surroundings(const Vector& normal) {
  const double up = 2 * normal.z * normal.z - 1;  // of the ray that is thrown back to the camera
  return 0.35 + 0.9 * std::clamp(0.5 + 1.5 * (up - 0.2), 0.0, 1.0);
}

// `turn`: the thing's angle, by which its normals turn.
Vector shade(const Surface& surface, const Light& light, double cosine, double sine) {
  const Vector own = unit(surface.normal);
  const Vector normal = {cosine * own.x - sine * own.y, sine * own.x + cosine * own.y, own.z};
  const double diffuse = std::max(0.0, dot(normal, light.direction));
  const Vector half = unit(light.direction + Vector{0, 0, 1});
  const double shine = std::max(0.0, dot(normal, half));
  const double matt = light.ambient * (0.3 + 0.7 * normal.z) + 0.75 * diffuse;
  const double mirrored = surroundings(normal) * (0.5 + 0.7 * diffuse);
  const double strength = (1 - surface.metal) * matt + surface.metal * mirrored;
  const double highlight = 0.28 * std::pow(shine, 60) + 0.5 * surface.metal * std::pow(shine, 150);
  return strength * surface.colour + Vector{highlight, highlight, highlight};
}

// Rubber or plastic; x and y in millimetres on the belt.
class Belt {
 public:
  Belt(Random& random, int size)
      : stains_(Field::noise(random, size, size, between(random, 0.2, 0.5) * size)),
        grain_(Field::noise(random, size, size, 3)),
        scratches_(size, size) {
    constexpr Vector kBelts[] = {{0.035, 0.036, 0.04},
                                 {0.06, 0.062, 0.066},
                                 {0.02, 0.075, 0.05},
                                 {0.04, 0.065, 0.11},
                                 {0.17, 0.165, 0.15}};
    const double lightness = between(random, 0.8, 1.25);
    colour_ = lightness * pick(random, kBelts);
    pattern_ = whole(random, 0, 2);
    pitch_ = between(random, 1.6, 4);
    depth_ = between(random, 0.1, 0.4);
    along_ = chance(random, 0.5) ? 0 : kPi / 2;
    phase_ = between(random, 0, pitch_);
    const double direction = along_ + between(random, -0.04, 0.04);
    for (int i = whole(random, 2, 14); i > 0; --i) scratch(random, direction, size);
    for (int i = whole(random, 0, 40); i > 0; --i) {
      const double x = between(random, 0, size), y = between(random, 0, size);
      const double strength = between(random, 0.1, 0.7);
      scratches_.at(static_cast<int>(x), static_cast<int>(y)) = static_cast<float>(strength);
    }
  }

  double along() const { return along_; }

  // px and py: the same place in pixels.
  Vector colour(double x, double y, double px, double py) const {
    double light = 0.75 + 0.5 * static_cast<double>(stains_.sample(px, py));
    light *= 0.8 + 0.4 * static_cast<double>(grain_.sample(px, py));
    light *= 1 + depth_ * relief(x + phase_, y + phase_);
    const auto scratched = static_cast<double>(scratches_.sample(px, py));
    return mix(light * colour_, {0.3, 0.29, 0.28}, scratched);
  }

 private:
  double relief(double x, double y) const {
    if (along_ > 0) std::swap(x, y);
    const double turn = 2 * kPi / pitch_;
    switch (pattern_) {
      case 0:
        return std::sin(turn * x) * std::sin(turn * y);  // woven
      case 1:
        return std::pow(std::abs(std::sin(turn * (x + y) / 2) * std::sin(turn * (x - y) / 2)), 0.5) - 0.6;
      default:
        return 0.3 * std::sin(turn * x);  // ribs across
    }
  }

  void scratch(Random& random, double direction, int size) {
    double x = between(random, 0, size), y = between(random, 0, size);
    const auto strength = static_cast<float>(between(random, 0.05, 0.3));
    for (int step = whole(random, size / 8, size); step > 0; --step) {
      x += std::cos(direction);
      y += std::sin(direction);
      if (x < 0 || y < 0 || x >= size || y >= size) return;
      scratches_.at(static_cast<int>(x), static_cast<int>(y)) = strength;
    }
  }

  Field stains_, grain_, scratches_;
  Vector colour_;
  int pattern_;
  double pitch_, depth_, along_, phase_;
};

// Where the thing lies.
struct Pose {
  double field;  // millimetres across the picture
  double x, y, cosine, sine;

  Pose(Random& random, const Thing& thing) {
    field = std::max(thing.length(), thing.width()) / between(random, 0.5, 0.82);
    const double angle = between(random, 0, 2 * kPi);
    x = between(random, -0.12, 0.12) * field;
    y = between(random, -0.12, 0.12) * field;
    cosine = std::cos(angle);
    sine = std::sin(angle);
  }
  // From the picture's coordinates, its middle at 0, to the thing's own.
  bool surface(const Thing& thing, double px, double py, Surface& found) const {
    return thing.surface(cosine * (px - x) + sine * (py - y), -sine * (px - x) + cosine * (py - y), found);
  }
};

// How much of the lamp's light is missing: soft, and darker where the thing touches the belt.
Field shadow_of(const Thing& thing, const Pose& pose, const Light& light, int size) {
  const double scale = pose.field / size, height = 0.5 * thing.height();
  Field cast(size, size), contact(size, size);
  Surface ignored;
  for (int row = 0; row < size; ++row) {
    for (int column = 0; column < size; ++column) {
      const double x = (column + 0.5) * scale - pose.field / 2, y = (row + 0.5) * scale - pose.field / 2;
      const double towards_x = height * light.direction.x / light.direction.z;
      const double towards_y = height * light.direction.y / light.direction.z;
      cast.at(column, row) = pose.surface(thing, x + towards_x, y + towards_y, ignored) ? 1.0f : 0.0f;
      contact.at(column, row) = pose.surface(thing, x, y, ignored) ? 1.0f : 0.0f;
    }
  }
  const double soft = 0.12 * thing.height() / scale + 0.5, close = 0.8 / scale + 0.5;
  cast.blur(soft, soft);
  contact.blur(close, close);
  for (int row = 0; row < size; ++row) {
    for (int column = 0; column < size; ++column) {
      const float both = 0.7f * cast.at(column, row) + 0.4f * contact.at(column, row);
      cast.at(column, row) = std::min(0.9f, both);
    }
  }
  return cast;
}

// One Field for each of red, green and blue: the light that reaches the camera.
std::vector<Field> light_of(const Thing& thing, Random& random, int size) {
  const Pose pose(random, thing);
  const Light light(random);
  const Belt belt(random, size);
  const Field shadow = shadow_of(thing, pose, light, size);
  const double scale = pose.field / size, flat = light.ambient + 0.75 * light.direction.z;
  constexpr int kSamples = 2;  // in each direction of a pixel
  std::vector<Field> result(3, Field(size, size));
  Surface surface;
  for (int row = 0; row < size; ++row) {
    for (int column = 0; column < size; ++column) {
      Vector sum;
      for (int sample = 0; sample < kSamples * kSamples; ++sample) {
        const double px = column + (sample % kSamples + 0.5) / kSamples;
        const double py = row + (sample / kSamples + 0.5) / kSamples;
        const double x = px * scale - pose.field / 2, y = py * scale - pose.field / 2;
        const double dark = 1 - static_cast<double>(shadow.sample(px - 0.5, py - 0.5));
        const Vector seen = pose.surface(thing, x, y, surface) ? shade(surface, light, pose.cosine, pose.sine)
                                                               : flat * dark * belt.colour(x, y, px, py);
        sum = sum + light.at(2 * px / size - 1, 2 * py / size - 1) * seen;
      }
      sum = 1.0 / (kSamples * kSamples) * sum;
      result[0].at(column, row) = static_cast<float>(sum.x);
      result[1].at(column, row) = static_cast<float>(sum.y);
      result[2].at(column, row) = static_cast<float>(sum.z);
    }
  }
  const double focus = between(random, 0.25, 1.0) * size / 192, motion = between(random, 0, 1.6) * size / 192;
  const bool along_y = belt.along() > 0;
  for (Field& channel : result) channel.blur(focus + (along_y ? 0 : motion), focus + (along_y ? motion : 0));
  return result;
}

// The sum of four bytes of a draw, about normal, of deviation 1.
double noise(Random& random) {
  const std::uint32_t bits = random.next();
  const std::uint32_t sum = (bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24);
  constexpr double kMean = 510, kDeviation = 147.8;
  return (sum - kMean) / kDeviation;
}

}  // namespace

media::Image photograph(const Thing& thing, Random random, int size) {
  const std::vector<Field> light = light_of(thing, random, size);
  const double grain = between(random, 1, 5), vignette = between(random, 0, 0.25);
  media::Image image;
  image.width = image.height = size;
  image.pixels.reserve(static_cast<std::size_t>(size) * size * 3);
  for (int row = 0; row < size; ++row) {
    for (int column = 0; column < size; ++column) {
      const double x = 2.0 * column / size - 1, y = 2.0 * row / size - 1;
      const double kept = 1 - vignette * (x * x + y * y) / 2;
      for (const Field& channel : light) {
        const double value =
            255 * std::sqrt(std::max(0.0, kept * static_cast<double>(channel.at(column, row))));
        image.pixels.push_back(
            static_cast<std::uint8_t>(std::clamp(value + grain * noise(random), 0.0, 255.0)));
      }
    }
  }
  return image;
}

}  // namespace pila::synth
