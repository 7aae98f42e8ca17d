#include "apps/capture/geometry.h"

#include <cstring>
#include <utility>

#include "engine/core/error.h"

namespace pila {
namespace {

std::string text_of(std::int64_t width, std::int64_t height) {
  return std::to_string(width) + " x " + std::to_string(height) + " pixels";
}

}  // namespace

void apply(const Geometry& geometry, media::Image& image) {
  const bool upright = geometry.rotate % 180 == 0;
  const std::int64_t width = upright ? image.width : image.height;
  const std::int64_t height = upright ? image.height : image.width;
  Region region = geometry.region;
  if (region.width == 0) region = {0, 0, width, height};
  if (region.x > width - region.width || region.y > height - region.height) {
    throw UsageError("the region of " + text_of(region.width, region.height) + " at " +
                     std::to_string(region.x) + ", " + std::to_string(region.y) +
                     " reaches outside of the picture of " + text_of(width, height));
  }

  // Which of the camera's pixels is seen at (x, y): linear in both.
  const auto source = [&](std::int64_t x, std::int64_t y) {
    if (geometry.flip_x) x = width - 1 - x;
    if (geometry.flip_y) y = height - 1 - y;
    if (geometry.rotate == 180 || geometry.rotate == 270) {
      x = width - 1 - x;
      y = height - 1 - y;
    }
    return upright ? y * image.width + x : (image.height - 1 - x) * image.width + y;
  };
  const std::int64_t origin = source(0, 0), right = source(1, 0) - origin, down = source(0, 1) - origin;
  if (right == 1 && region.width == image.width && region.height == image.height && down == image.width)
    return;

  constexpr std::int64_t kChannels = 3;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(region.width * region.height * kChannels));
  std::uint8_t* to = pixels.data();
  for (std::int64_t y = 0; y < region.height; ++y) {
    const std::uint8_t* from = image.pixels.data() + source(region.x, region.y + y) * kChannels;
    if (right == 1) {
      std::memcpy(to, from, static_cast<std::size_t>(region.width * kChannels));
      to += region.width * kChannels;
      continue;
    }
    for (std::int64_t x = 0; x < region.width; ++x, to += kChannels, from += right * kChannels)
      std::memcpy(to, from, kChannels);
  }
  image.width = region.width;
  image.height = region.height;
  image.pixels = std::move(pixels);
}

}  // namespace pila
