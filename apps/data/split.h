// Which images are trained on, and which are held out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pila {

struct Split {
  std::vector<std::size_t> train, validation, test;  // indices of images, ascending
};

// Splits every class at the same ratios, at random by seed. Images with the same group number stay on one
// side, as near to the ratios as whole groups allow; without groups, each image is one. Every class keeps a
// training image and, where whole groups allow it, one on each other side that is asked for (test first).
// `validation` and `test` are shares in [0, 1) with a sum below 1. Throws UsageError for other shares, for
// groups of another length, and for negative labels.
Split split_images(std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                   double validation, double test, std::uint64_t seed);

// The images held out in each of `folds` rounds: every image is in one of them, classes are spread evenly,
// and groups stay together. Throws UsageError for fewer than two folds, or more than there are groups.
std::vector<std::vector<std::size_t>> fold_images(std::span<const std::int32_t> labels,
                                                  std::span<const std::int64_t> groups, int folds,
                                                  std::uint64_t seed);

}  // namespace pila
