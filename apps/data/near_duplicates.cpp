#include "apps/data/near_duplicates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <numbers>
#include <string>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::size_t kCells = 32;       // of the thumbnail, on a side
constexpr std::size_t kFrequencies = 8;  // of its cosine transform, in each direction

template <class T, std::size_t kSize>
using Square = std::array<std::array<T, kSize>, kSize>;

// Calls use(cell, overlap) for the cells that the pixel at `place` of `size` falls into. Lengths are whole
// numbers: a pixel is kCells long and a cell `size`.
template <class Use>
void for_cells(std::int64_t place, std::int64_t size, const Use& use) {
  const auto cells = static_cast<std::int64_t>(kCells);
  const std::int64_t begin = place * cells, end = begin + cells;
  for (std::int64_t cell = begin / size; cell * size < end; ++cell) {
    const std::int64_t overlap = std::min(end, (cell + 1) * size) - std::max(begin, cell * size);
    use(static_cast<std::size_t>(cell), static_cast<std::uint64_t>(overlap));
  }
}

// Mean brightness, 0 to 255, by cell. The sums are exact, so that a mirrored picture's is mirrored.
Square<double, kCells> thumbnail(const media::Image& image) {
  Square<std::uint64_t, kCells> sums{};
  const std::uint8_t* pixel = image.pixels.data();
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::array<std::uint64_t, kCells> row{};
    for (std::int64_t x = 0; x < image.width; ++x, pixel += 3) {
      const std::uint64_t brightness = 299u * pixel[0] + 587u * pixel[1] + 114u * pixel[2];
      for_cells(x, image.width,
                [&](std::size_t cell, std::uint64_t overlap) { row[cell] += overlap * brightness; });
    }
    for_cells(y, image.height, [&](std::size_t cell, std::uint64_t overlap) {
      for (std::size_t i = 0; i < kCells; ++i) sums[cell][i] += overlap * row[i];
    });
  }
  const double scale = 1 / (1000.0 * static_cast<double>(image.width) * static_cast<double>(image.height));
  Square<double, kCells> means;
  for (std::size_t y = 0; y < kCells; ++y) {
    for (std::size_t x = 0; x < kCells; ++x) means[y][x] = static_cast<double>(sums[y][x]) * scale;
  }
  return means;
}

// The lowest frequencies of the orthonormal cosine transform (DCT-II).
Square<double, kFrequencies> spectrum(const Square<double, kCells>& pixels) {
  static const auto kCosines = [] {
    std::array<std::array<double, kCells>, kFrequencies> cosines;
    for (std::size_t f = 0; f < kFrequencies; ++f) {
      const double scale = std::sqrt((f == 0 ? 1.0 : 2.0) / kCells);
      for (std::size_t i = 0; i < kCells; ++i) {
        const double angle = std::numbers::pi * static_cast<double>(f * (2 * i + 1)) / (2 * kCells);
        cosines[f][i] = scale * std::cos(angle);
      }
    }
    return cosines;
  }();
  Square<double, kFrequencies> result{};
  for (std::size_t y = 0; y < kCells; ++y) {
    std::array<double, kFrequencies> row{};
    for (std::size_t f = 0; f < kFrequencies; ++f) {
      for (std::size_t x = 0; x < kCells; ++x) row[f] += kCosines[f][x] * pixels[y][x];
    }
    for (std::size_t g = 0; g < kFrequencies; ++g) {
      for (std::size_t f = 0; f < kFrequencies; ++f) result[g][f] += kCosines[g][y] * row[f];
    }
  }
  return result;
}

std::size_t root_of(std::vector<std::size_t>& parents, std::size_t i) {
  while (parents[i] != i) i = parents[i] = parents[parents[i]];
  return i;
}

}  // namespace

PerceptualHash perceptual_hash(const media::Image& image) {
  const auto frequencies = spectrum(thumbnail(image));
  PerceptualHash hash;
  double energy = 0;
  for (std::size_t i = 1; i < kFrequencies * kFrequencies; ++i) {
    const double value = frequencies[i / kFrequencies][i % kFrequencies];
    energy += value * value;
    hash.bits |= std::uint64_t{value > 0} << i;
  }
  // Of a thumbnail's cells, in steps of brightness.
  constexpr double kLeastDeviation = 2;
  hash.flat = energy < kLeastDeviation * kLeastDeviation * kCells * kCells;
  return hash;
}

std::vector<DuplicatePair> find_near_duplicates(std::span<const PerceptualHash> hashes, int max_distance) {
  std::vector<DuplicatePair> pairs;
  for (std::size_t a = 0; a < hashes.size(); ++a) {
    if (hashes[a].flat) continue;
    for (std::size_t b = a + 1; b < hashes.size(); ++b) {
      const int distance = std::popcount(hashes[a].bits ^ hashes[b].bits);
      if (distance <= max_distance && !hashes[b].flat) pairs.push_back({a, b, distance});
    }
  }
  return pairs;
}

std::vector<std::int64_t> merge_groups(std::span<const std::int64_t> groups,
                                       std::span<const DuplicatePair> pairs) {
  // Every image's parent is itself or an earlier one of its group.
  std::vector<std::size_t> parents(groups.size());
  std::map<std::int64_t, std::size_t> firsts;
  for (std::size_t i = 0; i < groups.size(); ++i) parents[i] = firsts.emplace(groups[i], i).first->second;
  for (const auto& pair : pairs) {
    if (std::max(pair.a, pair.b) >= groups.size()) {
      throw UsageError("[merge groups] pairs of " + std::to_string(groups.size()) +
                       " images are expected, got one of " + std::to_string(pair.a) + " and " +
                       std::to_string(pair.b));
    }
    const auto [first, second] = std::minmax({root_of(parents, pair.a), root_of(parents, pair.b)});
    parents[second] = first;
  }
  std::vector<std::int64_t> merged;
  for (std::size_t i = 0; i < groups.size(); ++i) merged.push_back(groups[root_of(parents, i)]);
  return merged;
}

}  // namespace pila
