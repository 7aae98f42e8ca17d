// Images that show the same photograph: resized, compressed anew, turned or mirrored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "apps/media/image.h"

namespace pila {

// What is left of a picture when its fine detail is gone.
struct PerceptualHash {
  std::uint64_t bits = 0;
  bool flat = true;  // so little texture that its bits mean nothing: it is like no other picture
};

PerceptualHash perceptual_hash(const media::Image& image);

constexpr int kNearDuplicateDistance = 6;

struct DuplicatePair {
  std::size_t a, b;  // a < b
  int distance;      // bits in which the hashes differ
};

// The pairs that differ in at most `max_distance` bits, sorted by a, then b.
std::vector<DuplicatePair> find_near_duplicates(std::span<const PerceptualHash> hashes,
                                                int max_distance = kNearDuplicateDistance);

// The groups with those of each pair made one. Throws UsageError for an index out of range.
std::vector<std::int64_t> merge_groups(std::span<const std::int64_t> groups,
                                       std::span<const DuplicatePair> pairs);

}  // namespace pila
