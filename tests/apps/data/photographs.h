// Photograph-like pictures: smooth colours and shapes, the same scene at any size.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "apps/media/image.h"
#include "tests/support/random_data.h"

namespace pila::test {

// The scene of `seed`, of coloured waves and one disc, in width x height pixels.
inline media::Image photograph(std::uint64_t seed, std::int64_t width, std::int64_t height) {
  constexpr std::size_t kWaves = 8, kNumbers = 6;
  const auto random = uniform_data<double>(kWaves * kNumbers + 5, seed, 0, 1);
  media::Image image{.width = width, .height = height, .pixels = {}, .warning = {}};
  for (std::int64_t row = 0; row < height; ++row) {
    for (std::int64_t column = 0; column < width; ++column) {
      const double x = (static_cast<double>(column) + 0.5) / static_cast<double>(width);
      const double y = (static_cast<double>(row) + 0.5) / static_cast<double>(height);
      double color[3] = {128, 128, 128};
      for (std::size_t wave = 0; wave < kWaves; ++wave) {
        const std::size_t at = wave * kNumbers;
        const double phase =
            12 * (random[at] - 0.5) * x + 12 * (random[at + 1] - 0.5) * y + 6.28 * random[at + 2];
        for (std::size_t c = 0; c < 3; ++c) color[c] += 40 * (random[at + 3 + c] - 0.3) * std::sin(phase);
      }
      const std::size_t disc = kWaves * kNumbers;
      if (std::hypot(x - 0.3 - 0.4 * random[disc], y - 0.3 - 0.4 * random[disc + 1]) < 0.2) {
        for (std::size_t c = 0; c < 3; ++c) color[c] = 255 * random[disc + 2 + c];
      }
      for (const double value : color) {
        image.pixels.push_back(static_cast<std::uint8_t>(std::fmin(std::fmax(value, 0), 255)));
      }
    }
  }
  return image;
}

inline void write_bytes(const std::filesystem::path& file, const std::vector<std::uint8_t>& bytes) {
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

}  // namespace pila::test
