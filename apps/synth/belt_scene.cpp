#include "apps/synth/belt_scene.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "apps/synth/draw.h"

namespace pila::synth {
namespace {

constexpr double kTurn = 6.28318530717958647692;
constexpr double kBeltLength = 640;  // mm, all around
enum : std::uint32_t { kSurface = 100, kLens };

// A sensor's noise is about normal; differences of bytes are near enough, and cost little.
class Grain {
 public:
  explicit Grain(Random& random) : random_(random) {}
  std::array<float, 3> next() {
    const std::uint32_t bits = random_.next();
    const auto byte = [&](int i) { return static_cast<float>(bits >> (8 * i) & 255); };
    constexpr float kScale = 1 / 104.5f;  // to deviation 1
    return {kScale * (byte(0) - byte(1)), kScale * (byte(1) - byte(2)), kScale * (byte(3) - byte(0))};
  }

 private:
  Random& random_;
};

}  // namespace

BeltScene::BeltScene(const BeltCamera& camera, const Conditions& conditions, std::uint64_t seed)
    : camera_(camera),
      conditions_(conditions),
      surface_(static_cast<int>(kBeltLength / camera.mm_per_pixel()), camera.height, 1),
      stains_(surface_.width(), camera.height),
      lit_(camera.width, camera.height),
      lens_(camera.width, camera.height, 1) {
  make_surface(Random(seed, 0, kSurface));
  make_lens(Random(seed, 0, kLens));
}

void BeltScene::make_surface(Random random) {
  constexpr Pixel kColours[] = {
      {0.050f, 0.052f, 0.056f}, {0.085f, 0.088f, 0.092f}, {0.03f, 0.10f, 0.072f}, {0.19f, 0.187f, 0.175f}};
  belt_colour_ = pick(random, kColours);
  stain_colour_ = {0.10f, 0.075f, 0.05f};
  const int width = surface_.width(), height = surface_.height();
  const double scale = camera_.mm_per_pixel(), dirt = conditions_.dirt;
  const Field clouds = Field::noise(random, width, height, 22 / scale);
  const Field grain = Field::noise(random, width, height, 0.7 / scale);
  const double pitch = between(random, 1.6, 2.8), depth = between(random, 0.04, 0.12);
  const double seam = 4, seam_lean = between(random, 0.05, 0.25);
  for (int row = 0; row < height; ++row) {
    const double y = row * scale;
    for (int column = 0; column < width; ++column) {
      const double x = column * scale;
      double light = 0.7 + 0.35 * static_cast<double>(clouds.at(column, row));
      light *= 0.72 + 0.56 * static_cast<double>(grain.at(column, row));
      light *= 1 + depth * std::sin(kTurn * x / pitch) * std::sin(kTurn * y / pitch);  // woven
      // Where the belt's ends are joined: two edges with glue between them.
      const double from_seam = x - seam - seam_lean * y;
      if (std::abs(from_seam) < 1.6) light *= std::abs(from_seam) > 1.3 ? 0.45 : 1.3;
      surface_.at(column, row) = static_cast<float>(light);
      const double stained = 2.6 * static_cast<double>(clouds.at(column, row)) - 2.25 + 0.55 * dirt;
      stains_.at(column, row) = static_cast<float>(std::clamp(stained, 0.0, 0.8 * dirt));
    }
  }
  for (int i = static_cast<int>(dirt * between(random, 250, 500)); i > 0; --i) {
    const int x = whole(random, 0, width - 1), y = whole(random, 0, height - 1);
    const auto strength = static_cast<float>(between(random, 1.2, 4));
    const int size = std::max(1, static_cast<int>(between(random, 0.1, 0.45) / scale));
    for (int dy = 0; dy < size; ++dy) {
      for (int dx = 0; dx < size; ++dx) {
        surface_.at(std::min(x + dx, width - 1), std::min(y + dy, height - 1)) *= strength;
      }
    }
  }
  for (int i = static_cast<int>(4 + 20 * dirt); i > 0; --i) {
    double x = between(random, 0, width), y = between(random, 0, height),
           angle = between(random, -0.06, 0.06);
    const auto strength = static_cast<float>(between(random, 1.2, 2.2));
    for (int step = static_cast<int>(between(random, 5, 90) / scale); step > 0; --step) {
      x += std::cos(angle);
      y += std::sin(angle);
      angle += between(random, -0.01, 0.01);
      if (x >= width || y < 0 || y >= height) break;
      surface_.at(static_cast<int>(x), static_cast<int>(y)) *= strength;
    }
  }
  const Blur blur = conditions_.blur(camera_);
  for (Field* field : {&surface_, &stains_}) {
    field->blur(blur.focus, blur.focus);
    field->smear(blur.motion);
  }
}

void BeltScene::make_lens(Random random) {
  flicker_phase_ = between(random, 0, kTurn);
  const double scale = camera_.mm_per_pixel();
  const double middle_x = camera_.width / 2.0, middle_y = camera_.height / 2.0;
  const double corner = std::hypot(middle_x, middle_y), vignette = between(random, 0.12, 0.28);
  // The ring is never quite level.
  const double lean_x = between(random, -0.12, 0.12), lean_y = between(random, -0.08, 0.08);
  const Field smudges = Field::noise(random, camera_.width, camera_.height, 16 / scale);
  for (int row = 0; row < camera_.height; ++row) {
    for (int column = 0; column < camera_.width; ++column) {
      const double px = (column + 0.5 - middle_x) / corner, py = (row + 0.5 - middle_y) / corner;
      const auto x = static_cast<float>(px * corner * scale), y = static_cast<float>(py * corner * scale);
      lit_.at(column, row) = ring_.diffuse(x, y, 0, 0, 0, 1);
      double kept = (1 - vignette * (px * px + py * py)) * (1 + lean_x * px + lean_y * py);
      const double smudge = 3 * static_cast<double>(smudges.at(column, row)) - 1.9;
      kept *= 1 - 0.3 * conditions_.dirt * std::clamp(smudge, 0.0, 1.0);
      lens_.at(column, row) = static_cast<float>(kept);
    }
  }
}

media::Image BeltScene::take(double seconds, std::span<const Placed> things, Random noise) const {
  std::vector<Pixel> light(static_cast<std::size_t>(camera_.width) * camera_.height);
  draw_belt(seconds, light);
  for (const Placed& thing : things) draw_thing(thing, light);
  return expose(seconds, light, noise);
}

void BeltScene::draw_belt(double seconds, std::vector<Pixel>& light) const {
  constexpr float kGloss = 0.012f;  // rubber shows the ring a little
  const int around = surface_.width();
  // Of the belt's place below the picture's left edge.
  double begin = -seconds * camera_.belt_mm_per_s / camera_.mm_per_pixel();
  begin -= std::floor(begin / around) * around;
  const int first = static_cast<int>(begin) % around;
  const auto share = static_cast<float>(begin - std::floor(begin));
  const auto scale = static_cast<float>(camera_.mm_per_pixel());
  std::size_t i = 0;
  for (int row = 0; row < camera_.height; ++row) {
    int here = first;
    for (int column = 0; column < camera_.width; ++column, ++i) {
      const int next = here + 1 == around ? 0 : here + 1;
      const float lightness =
          lit_.at(column, row) * ((1 - share) * surface_.at(here, row) + share * surface_.at(next, row));
      const float stained = (1 - share) * stains_.at(here, row) + share * stains_.at(next, row);
      const float x = (static_cast<float>(column) - 0.5f * static_cast<float>(camera_.width)) * scale;
      const float y = (static_cast<float>(row) - 0.5f * static_cast<float>(camera_.height)) * scale;
      const float off = (2 * std::sqrt(x * x + y * y) - ring_.radius) * (1 / 16.0f);
      const float gloss = kGloss / (1 + off * off * off * off);
      light[i].red =
          lightness * (belt_colour_.red + stained * (stain_colour_.red - belt_colour_.red)) + gloss;
      light[i].green =
          lightness * (belt_colour_.green + stained * (stain_colour_.green - belt_colour_.green)) + gloss;
      light[i].blue =
          lightness * (belt_colour_.blue + stained * (stain_colour_.blue - belt_colour_.blue)) + gloss;
      here = next;
    }
  }
}

void BeltScene::draw_thing(const Placed& thing, std::vector<Pixel>& light) const {
  const Sprite& sprite = *thing.sprite;
  const auto scale = static_cast<float>(camera_.mm_per_pixel()), z = static_cast<float>(sprite.height_mm);
  const double begin = thing.x - 0.5 - sprite.width / 2;
  const int left = static_cast<int>(std::floor(begin));
  const int top = static_cast<int>(std::lround(thing.y - 0.5 - sprite.height / 2));
  const auto share = static_cast<float>(begin - left);
  for (int y = std::max(0, -top); y < std::min(sprite.height, camera_.height - top); ++y) {
    const float mm_y = (static_cast<float>(top + y) - 0.5f * static_cast<float>(camera_.height)) * scale;
    for (int x = std::max(1, -left); x < std::min(sprite.width, camera_.width - left); ++x) {
      const Texel &a = sprite.at(x, y), &b = sprite.at(x - 1, y);
      const auto mixed = [&](float Texel::*member) { return a.*member + share * (b.*member - a.*member); };
      Pixel& pixel = light[static_cast<std::size_t>(top + y) * camera_.width + left + x];
      const float cover = mixed(&Texel::cover), kept = (1 - cover) * (1 - mixed(&Texel::shadow));
      pixel = {pixel.red * kept, pixel.green * kept, pixel.blue * kept};
      constexpr float kNothing = 0.004f;
      if (cover < kNothing) continue;

      float nx = mixed(&Texel::normal_x), ny = mixed(&Texel::normal_y), nz = mixed(&Texel::normal_z);
      const float norm = 1 / std::sqrt(nx * nx + ny * ny + nz * nz + 1e-12f);
      nx *= norm, ny *= norm, nz *= norm;
      const float mm_x = (static_cast<float>(left + x) - 0.5f * static_cast<float>(camera_.width)) * scale;
      const float metal = mixed(&Texel::metal) / cover;
      const float diffuse = ring_.diffuse(mm_x, mm_y, z, nx, ny, nz);
      // Things shine in the ring, sharply where they are varnished, wide where they are bare metal; metal
      // also mirrors the pale box around the camera.
      const float varnish = ring_.mirrored(mm_x, mm_y, z, nx, ny, nz, 9);
      const float sheen = ring_.mirrored(mm_x, mm_y, z, nx, ny, nz, 34);
      const float box = 0.25f + 0.45f * nz;
      const float matt = (1 - 0.6f * metal) * (0.12f + 0.88f * diffuse) + metal * (box + 1.1f * sheen);
      const float white = cover * (0.30f * varnish + 0.25f * metal * sheen * sheen);
      pixel.red += matt * mixed(&Texel::red) + white;
      pixel.green += matt * mixed(&Texel::green) + white;
      pixel.blue += matt * mixed(&Texel::blue) + white;
    }
  }
}

media::Image BeltScene::expose(double seconds, const std::vector<Pixel>& light, Random& noise) const {
  constexpr double kMains = 100;      // flashes a second of a lamp on the mains
  constexpr double kReadOut = 0.016;  // seconds from the first row to the last
  constexpr double kWander = 0.05;    // of the camera's automatic exposure and white balance
  const double drift = 1 + kWander * std::sin(0.7 * seconds + 2 * flicker_phase_);
  const auto warm = static_cast<float>(kWander * std::sin(0.31 * seconds + 3 * flicker_phase_));
  const double jump = 1 + 0.5 * conditions_.flicker * noise.normal();
  const auto grain = static_cast<float>(conditions_.noise);
  Grain grains(noise);
  media::Image image;
  image.width = camera_.width;
  image.height = camera_.height;
  image.pixels.resize(light.size() * 3);
  std::size_t i = 0;
  for (int row = 0; row < camera_.height; ++row) {
    const double moment = seconds + kReadOut * row / camera_.height;
    const double pulse = 1 + conditions_.flicker * std::sin(kTurn * kMains * moment + flicker_phase_);
    const auto gain = static_cast<float>(std::max(0.1, conditions_.light * drift * jump * pulse));
    for (int column = 0; column < camera_.width; ++column, ++i) {
      const float kept = gain * lens_.at(column, row);
      const std::array<float, 3> values = {kept * (1 + warm) * light[i].red, kept * light[i].green,
                                           kept * (1 - warm) * light[i].blue};
      const std::array<float, 3> grain_here = grains.next();
      for (std::size_t c = 0; c < 3; ++c) {
        const float value = 255 * std::sqrt(values[c]) + grain * grain_here[c] + 0.5f;
        image.pixels[3 * i + c] = static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f));
      }
    }
  }
  return image;
}

}  // namespace pila::synth
