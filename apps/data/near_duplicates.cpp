#include "apps/data/near_duplicates.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <string>

#include "engine/core/error.h"

namespace pila {
namespace {

using Thumbnail = PerceptualHash::Thumbnail;
constexpr std::int64_t kSide = PerceptualHash::kSide;
constexpr std::int64_t kChannels = 3;
constexpr double kNoise = 2;  // levels of brightness that mean nothing

struct Box {
  std::int64_t left, top, width, height;
};

// The sums of `width` pixels over kSide cells of equal length. Lengths are whole numbers: a pixel is kSide
// long and a cell `width`.
std::array<std::int64_t, kSide * kChannels> cell_sums(const std::uint8_t* pixels, std::int64_t width) {
  std::array<std::int64_t, kSide * kChannels> sums{};
  for (std::int64_t cell = 0; cell < kSide; ++cell) {
    const std::int64_t begin = cell * width, end = begin + width;
    const std::int64_t first = begin / kSide, last = (end - 1) / kSide;
    std::array<std::int64_t, kChannels> whole{};
    for (std::int64_t x = first; x <= last; ++x) {
      for (std::int64_t c = 0; c < kChannels; ++c) whole[c] += pixels[x * kChannels + c];
    }
    for (std::int64_t c = 0; c < kChannels; ++c) {
      sums[cell * kChannels + c] = whole[c] * kSide -
                                   (begin - first * kSide) * pixels[first * kChannels + c] -
                                   ((last + 1) * kSide - end) * pixels[last * kChannels + c];
    }
  }
  return sums;
}

// The mean colours of kSide x kSide cells. All sums are exact, so that a mirrored picture's are mirrored.
Thumbnail thumbnail(const media::Image& image, const Box& box) {
  std::array<std::int64_t, kSide * kSide * kChannels> sums{};
  for (std::int64_t y = 0; y < box.height; ++y) {
    const auto row =
        cell_sums(image.pixels.data() + ((box.top + y) * image.width + box.left) * kChannels, box.width);
    // The cells that the row falls into, again in whole numbers.
    const std::int64_t begin = y * kSide, end = begin + kSide;
    for (std::int64_t cell = begin / box.height; cell * box.height < end; ++cell) {
      const std::int64_t overlap =
          std::min(end, (cell + 1) * box.height) - std::max(begin, cell * box.height);
      for (std::size_t i = 0; i < row.size(); ++i) sums[cell * row.size() + i] += overlap * row[i];
    }
  }
  Thumbnail result;
  const std::int64_t area = box.width * box.height;
  std::array<double, kChannels> sum{}, squares{};
  for (std::size_t i = 0; i < sums.size(); ++i) {
    result.pixels[i] = static_cast<std::uint8_t>((sums[i] + area / 2) / area);
    sum[i % kChannels] += result.pixels[i];
    squares[i % kChannels] += result.pixels[i] * result.pixels[i];
  }
  constexpr double kCells = kSide * kSide;
  double variance = 0;
  for (std::size_t c = 0; c < kChannels; ++c) {
    variance += squares[c] / kCells - sum[c] / kCells * (sum[c] / kCells);
  }
  result.variance = static_cast<float>(variance / kChannels);
  return result;
}

// What lies within the margin: the rows and columns in which more than one pixel in a hundred differs from
// the colour of the upper left corner. The whole picture where that leaves next to nothing.
Box without_margin(const media::Image& image) {
  constexpr int kTolerance = 16;
  constexpr std::int64_t kShare = 100, kLeast = 8;
  std::vector<std::int64_t> rows(static_cast<std::size_t>(image.height));
  std::vector<std::int64_t> columns(static_cast<std::size_t>(image.width));
  const std::uint8_t* corner = image.pixels.data();
  const std::uint8_t* pixel = corner;
  for (auto& row : rows) {
    for (auto& column : columns) {
      const bool differs = std::abs(pixel[0] - corner[0]) > kTolerance ||
                           std::abs(pixel[1] - corner[1]) > kTolerance ||
                           std::abs(pixel[2] - corner[2]) > kTolerance;
      row += differs;
      column += differs;
      pixel += kChannels;
    }
  }
  const auto range = [](const std::vector<std::int64_t>& counts, std::int64_t across) {
    const auto filled = [&](std::int64_t count) { return count * kShare > across; };
    const auto first = std::find_if(counts.begin(), counts.end(), filled);
    const auto last = std::find_if(counts.rbegin(), counts.rend(), filled);
    return std::pair(first - counts.begin(), counts.rend() - last);
  };
  const auto [left, right] = range(columns, image.height);
  const auto [top, bottom] = range(rows, image.width);
  if (right - left < kLeast || bottom - top < kLeast) return {0, 0, image.width, image.height};
  return {left, top, right - left, bottom - top};
}

Thumbnail mirrored(const Thumbnail& thumbnail) {
  Thumbnail result = thumbnail;
  for (std::int64_t y = 0; y < kSide; ++y) {
    for (std::int64_t x = 0; x < kSide; ++x) {
      const auto* from = thumbnail.pixels.data() + (y * kSide + kSide - 1 - x) * kChannels;
      std::copy_n(from, kChannels, result.pixels.data() + (y * kSide + x) * kChannels);
    }
  }
  return result;
}

// The sum of squared differences at which two pictures have distance 1.
double scale_of(double variance_a, double variance_b) {
  return (variance_a + variance_b + kNoise * kNoise) * static_cast<double>(kSide * kSide * kChannels);
}

double distance(const Thumbnail& a, const Thumbnail& b) {
  std::int32_t sum = 0;  // 3072 * 255^2 at most
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    const std::int32_t difference = a.pixels[i] - b.pixels[i];
    sum += difference * difference;
  }
  return std::sqrt(sum / scale_of(a.variance, b.variance));
}

// Sums over square blocks of cells. By the Cauchy-Schwarz inequality their squared differences, divided by
// the block's cells, are never above those of the thumbnails themselves, and they are found a hundred times
// as fast.
struct Coarse {
  static constexpr std::int64_t kBlock = 8, kBlocks = kSide / kBlock;
  std::array<std::int32_t, kBlocks * kBlocks * kChannels> sums{};
  bool flat;
  double variance;

  explicit Coarse(const Thumbnail& thumbnail)
      : flat(thumbnail.variance < kNoise * kNoise), variance(thumbnail.variance) {
    for (std::int64_t i = 0; i < kSide * kSide * kChannels; ++i) {
      const std::int64_t c = i % kChannels, x = i / kChannels % kSide, y = i / kChannels / kSide;
      sums[((y / kBlock) * kBlocks + x / kBlock) * kChannels + c] += thumbnail.pixels[i];
    }
  }
};

// Whether two pictures with texture may be at a distance of at most the root of `square`.
bool may_be_within(const Coarse& a, const Coarse& b, double square) {
  if (a.flat || b.flat) return false;
  std::int32_t sum = 0;  // 48 * 2040^2 at most
  for (std::size_t i = 0; i < a.sums.size(); ++i) {
    // Rounded down, which keeps the bound a bound.
    const std::int32_t difference = std::abs(a.sums[i] - b.sums[i]) / Coarse::kBlock;
    sum += difference * difference;
  }
  return sum <= square * scale_of(a.variance, b.variance);
}

std::size_t root_of(std::vector<std::size_t>& parents, std::size_t i) {
  while (parents[i] != i) i = parents[i] = parents[parents[i]];
  return i;
}

}  // namespace

PerceptualHash perceptual_hash(const media::Image& image) {
  return {thumbnail(image, {0, 0, image.width, image.height}), thumbnail(image, without_margin(image))};
}

double perceptual_distance(const PerceptualHash& a, const PerceptualHash& b) {
  return distance(a.whole, b.whole);
}

std::vector<DuplicatePair> find_near_duplicates(std::span<const PerceptualHash> hashes, double max_distance) {
  std::vector<Coarse> whole, trimmed;
  for (const auto& hash : hashes) {
    whole.emplace_back(hash.whole);
    trimmed.emplace_back(hash.trimmed);
  }
  const double square = max_distance * max_distance;
  std::vector<DuplicatePair> pairs;
  for (std::size_t a = 0; a < hashes.size(); ++a) {
    const Thumbnail mirror = mirrored(hashes[a].trimmed);
    const Coarse coarse_mirror(mirror);
    for (std::size_t b = a + 1; b < hashes.size(); ++b) {
      double least = std::numeric_limits<double>::infinity();
      if (may_be_within(whole[a], whole[b], square)) {
        least = std::min(least, distance(hashes[a].whole, hashes[b].whole));
      }
      if (may_be_within(trimmed[a], trimmed[b], square)) {
        least = std::min(least, distance(hashes[a].trimmed, hashes[b].trimmed));
      }
      if (may_be_within(coarse_mirror, trimmed[b], square)) {
        least = std::min(least, distance(mirror, hashes[b].trimmed));
      }
      if (least <= max_distance) pairs.push_back({a, b, least});
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
