// A ring of lamps around a camera that looks straight down. Millimetres; the camera's axis is at 0, 0.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

namespace pila::synth {

struct RingLight {
  float height = 100, radius = 38;

  // Light on a matt surface at (x, y, z) of normal (nx, ny, nz); 1 on the belt below the camera.
  float diffuse(float x, float y, float z, float nx, float ny, float nz) const {
    // Unit steps around the ring.
    constexpr float kDiagonal = 0.70710678f;
    constexpr std::array<std::array<float, 2>, 8> kLamps = {{{1, 0},
                                                             {kDiagonal, kDiagonal},
                                                             {0, 1},
                                                             {-kDiagonal, kDiagonal},
                                                             {-1, 0},
                                                             {-kDiagonal, -kDiagonal},
                                                             {0, -1},
                                                             {kDiagonal, -kDiagonal}}};
    const float lz = height - z;
    float sum = 0;
    for (const auto& [cosine, sine] : kLamps) {
      const float lx = radius * cosine - x, ly = radius * sine - y;
      const float square = lx * lx + ly * ly + lz * lz;
      sum += std::max(0.0f, nx * lx + ny * ly + nz * lz) / (square * std::sqrt(square));
    }
    const float square = height * height + radius * radius;
    return sum * square * std::sqrt(square) / (8 * height);
  }

  // How much of the ring is mirrored to the camera, 0 to 1; `rough` blurs it, in millimetres at the ring.
  float mirrored(float x, float y, float z, float nx, float ny, float nz, float rough) const {
    const float lz = height - z, distance = std::sqrt(x * x + y * y + lz * lz);
    const float vx = -x / distance, vy = -y / distance, vz = lz / distance;
    const float cosine = nx * vx + ny * vy + nz * vz;
    const float rx = 2 * cosine * nx - vx, ry = 2 * cosine * ny - vy, rz = 2 * cosine * nz - vz;
    if (rz < 0.05f) return 0;
    const float hit_x = x + rx * lz / rz, hit_y = y + ry * lz / rz;
    const float off = (std::sqrt(hit_x * hit_x + hit_y * hit_y) - radius) / rough;
    return std::exp(-off * off);
  }
};

}  // namespace pila::synth
