// Numbers as colours.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "apps/media/image.h"

namespace pila::media {

// 0 dark blue, over green and yellow, to 1 dark red (the "turbo" map; Mikhailov, 2019).
std::array<std::uint8_t, 3> heat_color(double value);

// values: [height, width] in 0..1, stretched smoothly over the photograph. What is hot is mixed in by
// `strength`, what is cold leaves the photograph as it is. Throws UsageError when the number of values is not
// height * width, or there is nothing of either.
Image with_heat_map(const Image& photograph, std::span<const float> values, std::int64_t height,
                    std::int64_t width, double strength = 0.6);

}  // namespace pila::media
