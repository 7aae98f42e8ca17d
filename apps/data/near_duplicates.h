// Images that show the same photograph: resized, compressed anew, with another margin, or mirrored.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "apps/media/image.h"

namespace pila {

// What is left of a picture when its fine detail is gone. Sixty-four bits of it would not do: all batteries
// on white look alike then, whatever their colour and print.
struct PerceptualHash {
  static constexpr std::size_t kSide = 32;
  struct Thumbnail {
    std::array<std::uint8_t, kSide * kSide * 3> pixels{};
    float variance = 0;  // of brightness levels, mean of the channels
  };
  Thumbnail whole;
  Thumbnail trimmed;  // without the margin of one colour that product photographs have
};

// The image has pixels.
PerceptualHash perceptual_hash(const media::Image& image);

// How different two pictures are: root mean square difference by their contrast; 0 for the same one, about 1
// for unrelated ones.
double perceptual_distance(const PerceptualHash& a, const PerceptualHash& b);

// Chosen on 2,988 photographs of batteries and e-waste, where pairs below it show one photograph and pairs
// above it mostly two.
constexpr double kNearDuplicateDistance = 0.16;

struct DuplicatePair {
  std::size_t a, b;  // a < b
  double distance;   // the smallest of the whole, the trimmed and the mirrored trimmed pictures' ones
};

// The pairs at `max_distance` or nearer, sorted by a, then b. Pictures without texture, which are all alike,
// are in none.
std::vector<DuplicatePair> find_near_duplicates(std::span<const PerceptualHash> hashes,
                                                double max_distance = kNearDuplicateDistance);

// The groups with those of each pair made one. Throws UsageError for an index out of range.
std::vector<std::int64_t> merge_groups(std::span<const std::int64_t> groups,
                                       std::span<const DuplicatePair> pairs);

}  // namespace pila
