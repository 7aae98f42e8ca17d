#include "apps/data/split.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>

#include "engine/core/error.h"
#include "engine/core/random.h"

namespace pila {
namespace {

enum Side : std::size_t { kTrain, kValidation, kTest, kSides };

struct Group {
  std::vector<std::size_t> images;
  std::map<std::size_t, std::int64_t> counts;  // images by class
};

struct Groups {
  std::vector<Group> list;                // in random order
  std::vector<std::int64_t> class_sizes;  // images by class
};

Groups collect(std::span<const std::int32_t> labels, std::span<const std::int64_t> numbers,
               std::uint64_t seed) {
  if (!numbers.empty() && numbers.size() != labels.size()) {
    throw UsageError("[split] a group for each of " + std::to_string(labels.size()) +
                     " images is expected, got " + std::to_string(numbers.size()));
  }
  Groups groups;
  std::map<std::int64_t, std::size_t> places;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) {
      throw UsageError("[split] labels of at least 0 are expected, got " + std::to_string(labels[i]));
    }
    const auto label = static_cast<std::size_t>(labels[i]);
    if (label >= groups.class_sizes.size()) groups.class_sizes.resize(label + 1);
    ++groups.class_sizes[label];
    const std::int64_t number = numbers.empty() ? static_cast<std::int64_t>(i) : numbers[i];
    const auto [place, fresh] = places.emplace(number, groups.list.size());
    if (fresh) groups.list.emplace_back();
    Group& group = groups.list[place->second];
    group.images.push_back(i);
    ++group.counts[label];
  }
  Random random(seed);
  for (std::size_t i = groups.list.size(); i > 1; --i) {
    std::swap(groups.list[i - 1], groups.list[random.below(static_cast<std::uint32_t>(i))]);
  }
  return groups;
}

// All groups begin in training; those that bring the other sides nearer to their share are moved there.
class Splitter {
 public:
  Splitter(const Groups& groups, double validation, double test)
      : groups_(groups), side_(groups.list.size(), kTrain), counts_(groups.class_sizes.size()) {
    for (std::size_t label = 0; label < counts_.size(); ++label) {
      counts_[label][kTrain] = groups.class_sizes[label];
    }
    fill(kTest, test);
    fill(kValidation, validation);
    if (test > 0) leave_no_class_out(kTest);
    if (validation > 0) leave_no_class_out(kValidation);
  }

  Split result() const {
    Split split;
    for (std::size_t i = 0; i < side_.size(); ++i) {
      auto& images = side_[i] == kTrain ? split.train : side_[i] == kTest ? split.test : split.validation;
      images.insert(images.end(), groups_.list[i].images.begin(), groups_.list[i].images.end());
    }
    for (auto* images : {&split.train, &split.validation, &split.test}) {
      std::sort(images->begin(), images->end());
    }
    return split;
  }

 private:
  void fill(Side side, double share) {
    if (share <= 0) return;
    std::vector<double> wanted;
    for (const auto size : groups_.class_sizes) {
      wanted.push_back(std::max(1.0, std::round(share * static_cast<double>(size))));
    }
    for (std::size_t i = 0; i < side_.size(); ++i) {
      if (side_[i] != kTrain || !training_remains_without(i)) continue;
      // How the squared distance to what is wanted would change, each class by its size.
      double change = 0;
      for (const auto& [label, count] : groups_.list[i].counts) {
        const double missing = wanted[label] - static_cast<double>(counts_[label][side]);
        const auto moved = static_cast<double>(count);
        change += moved * (moved - 2 * missing) / static_cast<double>(groups_.class_sizes[label]);
      }
      if (change < 0) move(i, side);
    }
  }

  // Moves the smallest group of each class that the side lacks altogether.
  void leave_no_class_out(Side side) {
    for (std::size_t label = 0; label < counts_.size(); ++label) {
      if (counts_[label][side] > 0) continue;
      std::size_t best = side_.size();
      for (std::size_t i = 0; i < side_.size(); ++i) {
        const Group& group = groups_.list[i];
        if (side_[i] != kTrain || group.counts.count(label) == 0 || !training_remains_without(i)) continue;
        if (best == side_.size() || group.images.size() < groups_.list[best].images.size()) best = i;
      }
      if (best != side_.size()) move(best, side);
    }
  }

  bool training_remains_without(std::size_t i) const {
    const auto& counts = groups_.list[i].counts;
    return std::all_of(counts.begin(), counts.end(),
                       [&](const auto& entry) { return counts_[entry.first][kTrain] > entry.second; });
  }

  void move(std::size_t i, Side side) {
    for (const auto& [label, count] : groups_.list[i].counts) {
      counts_[label][side_[i]] -= count;
      counts_[label][side] += count;
    }
    side_[i] = side;
  }

  const Groups& groups_;
  std::vector<Side> side_;                                // by group
  std::vector<std::array<std::int64_t, kSides>> counts_;  // images by class and side
};

}  // namespace

Split split_images(std::span<const std::int32_t> labels, std::span<const std::int64_t> groups,
                   double validation, double test, std::uint64_t seed) {
  if (!(validation >= 0 && test >= 0 && validation + test < 1)) {
    throw UsageError("[split] shares of at least 0 with a sum below 1 are expected, got " +
                     std::to_string(validation) + " for validation and " + std::to_string(test) +
                     " for test");
  }
  const Groups collected = collect(labels, groups, seed);
  return Splitter(collected, validation, test).result();
}

std::vector<std::vector<std::size_t>> fold_images(std::span<const std::int32_t> labels,
                                                  std::span<const std::int64_t> groups, int folds,
                                                  std::uint64_t seed) {
  Groups collected = collect(labels, groups, seed);
  if (folds < 2 || static_cast<std::size_t>(folds) > collected.list.size()) {
    throw UsageError("[split] 2 to " + std::to_string(collected.list.size()) +
                     " folds are expected, as many as there are groups at most, got " +
                     std::to_string(folds));
  }
  // The largest first, so that the small ones can even out what those leave; class by class, so that what
  // one class leaves uneven the next one evens out.
  std::stable_sort(collected.list.begin(), collected.list.end(), [](const Group& a, const Group& b) {
    if (a.images.size() != b.images.size()) return a.images.size() > b.images.size();
    return a.counts.begin()->first < b.counts.begin()->first;
  });
  std::vector<std::vector<std::size_t>> held_out(static_cast<std::size_t>(folds));
  std::vector<std::vector<std::int64_t>> counts(held_out.size(),
                                                std::vector<std::int64_t>(collected.class_sizes.size()));
  for (const auto& group : collected.list) {
    // The fold that has least of the group's classes, then the smallest.
    std::size_t best = 0;
    std::pair<double, std::size_t> least;
    for (std::size_t fold = 0; fold < held_out.size(); ++fold) {
      double present = 0;
      for (const auto& [label, count] : group.counts) {
        present += static_cast<double>(counts[fold][label] * count) /
                   static_cast<double>(collected.class_sizes[label]);
      }
      const std::pair<double, std::size_t> load = {present, held_out[fold].size()};
      if (fold == 0 || load < least) {
        best = fold;
        least = load;
      }
    }
    held_out[best].insert(held_out[best].end(), group.images.begin(), group.images.end());
    for (const auto& [label, count] : group.counts) {
      counts[best][label] += count;
    }
  }
  for (auto& fold : held_out) std::sort(fold.begin(), fold.end());
  return held_out;
}

}  // namespace pila
