#include "tests/apps/training/coloured_shapes.h"

#include <cmath>

#include "apps/media/image_writer.h"
#include "engine/core/random.h"

namespace fs = std::filesystem;

namespace pila::test {
namespace {

constexpr int kSide = 40;
const std::vector<std::string> kClasses = {"disc", "ring", "square"};

bool inside(const std::string& shape, double x, double y) {
  const double radius = std::hypot(x, y);
  if (shape == "disc") return radius < 10;
  if (shape == "ring") return radius < 13 && radius > 8;
  return std::max(std::abs(x), std::abs(y)) < 9;
}

media::Image draw(const std::string& shape, Random& random) {
  media::Image image;
  image.width = image.height = kSide;
  const double left = 15 + 10 * random.uniform(), top = 15 + 10 * random.uniform();
  std::uint8_t colour[3];
  for (std::uint8_t& c : colour) c = static_cast<std::uint8_t>(120 + random.below(136));
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const bool on = inside(shape, x - left, y - top);
      for (const std::uint8_t c : colour) {
        image.pixels.push_back(static_cast<std::uint8_t>(on ? c : 40 + random.below(30)));
      }
    }
  }
  return image;
}

}  // namespace

void draw_shapes(const fs::path& folder, int classes, int images) {
  for (int c = 0; c < classes; ++c) {
    const std::string& name = kClasses[static_cast<std::size_t>(c)];
    fs::create_directories(folder / name);
    Random random(17, c);
    for (int i = 0; i < images; ++i) {
      media::save_png(draw(name, random), folder / name / (std::to_string(i) + ".png"));
    }
  }
}

}  // namespace pila::test
