#include "engine/plan/clipping.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::size_t kLevels = 256;

// Bins from `first` to the one before `last`.
struct Bins {
  std::size_t first, last;
  std::size_t count() const { return last - first; }
};

ValueRange within_extremes(const Histogram& histogram, const Bins& bins) {
  const auto inside = [&](double end) {
    const ValueRange& extremes = histogram.extremes();
    return std::clamp(static_cast<float>(end), extremes.low, extremes.high);
  };
  return {inside(histogram.edge(bins.first)), inside(histogram.edge(bins.last))};
}

// Without as many of the outermost bins as hold at most a share `cut` of all numbers at each end.
ValueRange cut_ends(const Histogram& histogram, double cut) {
  const double most = cut * static_cast<double>(histogram.total());
  Bins bins{0, Histogram::kBins};
  for (std::uint64_t below = 0; bins.first < Histogram::kBins; ++bins.first) {
    below += histogram.count(bins.first);
    if (static_cast<double>(below) > most) break;
  }
  for (std::uint64_t above = 0; bins.last > bins.first + 1; --bins.last) {
    above += histogram.count(bins.last - 1);
    if (static_cast<double>(above) > most) break;
  }
  return within_extremes(histogram, bins);
}

// What rounding to kLevels steps and cutting off adds up to, in squares of a bin's width.
double squared_error(const std::vector<double>& counts, const Bins& bins) {
  const double step = static_cast<double>(bins.count()) / kLevels;
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::size_t outside = i < bins.first ? bins.first - i : i >= bins.last ? i + 1 - bins.last : 0;
    const auto distance = static_cast<double>(outside);
    sum += counts[i] * (outside > 0 ? distance * distance : step * step / 12);
  }
  return sum;
}

// How much less is known of numbers, in nats a number, when those outside of `bins` are cut off and the
// others are told in kLevels steps.
double divergence(const std::vector<double>& counts, const Bins& bins) {
  std::vector<double> expected(counts.begin() + static_cast<std::ptrdiff_t>(bins.first),
                               counts.begin() + static_cast<std::ptrdiff_t>(bins.last));
  std::vector<double> told(expected.size());
  for (std::size_t i = 0; i < bins.first; ++i) expected.front() += counts[i];
  for (std::size_t i = bins.last; i < counts.size(); ++i) expected.back() += counts[i];
  for (std::size_t level = 0; level < kLevels; ++level) {
    const std::size_t begin = level * bins.count() / kLevels, end = (level + 1) * bins.count() / kLevels;
    double sum = 0, occupied = 0;
    for (std::size_t i = begin; i < end; ++i) {
      sum += counts[bins.first + i];
      occupied += expected[i] > 0 ? 1 : 0;
    }
    // Where nothing lies but what was cut off, one number is as good as none, and has a logarithm.
    for (std::size_t i = begin; i < end; ++i) {
      if (expected[i] > 0) told[i] = std::max(sum, 1.0) / occupied;
    }
  }
  double all = 0, all_told = 0, result = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    all += expected[i];
    all_told += told[i];
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i] > 0) result += expected[i] / all * std::log(expected[i] / all * (all_told / told[i]));
  }
  return result;
}

// Tries ever smaller limits of magnitude. Zeros are left out: they always have a level of their own.
template <class Loss>
ValueRange least(const Loss& loss, const Histogram& histogram) {
  constexpr std::size_t kZero = Histogram::kZero;
  constexpr double kStepsAnOctave = 16;
  std::vector<double> counts(Histogram::kBins);
  Bins all{kZero, kZero};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::uint64_t count = histogram.count(i) - (i == kZero ? histogram.zeros() : 0);
    counts[i] = static_cast<double>(count);
    if (count > 0) all = {std::min(all.first, i), std::max(all.last, i + 1)};
  }
  Bins best = all;
  double least_loss = std::numeric_limits<double>::infinity();
  const std::size_t below = kZero - all.first, above = all.last - kZero;
  for (int step = 0;; ++step) {
    const double limit = static_cast<double>(std::max(below, above)) * std::exp2(-step / kStepsAnOctave);
    const auto magnitude = static_cast<std::size_t>(std::ceil(limit));
    const Bins bins{kZero - std::min(below, magnitude), kZero + std::min(above, magnitude)};
    if (bins.count() < kLevels) break;  // one level a bin: the histogram tells no more
    if (const double bins_loss = loss(counts, bins); bins_loss < least_loss) {
      least_loss = bins_loss;
      best = bins;
    }
  }
  return within_extremes(histogram, best);
}

}  // namespace

const char* name_of(Clipping clipping) {
  switch (clipping) {
    case Clipping::min_max:
      return "min-max";
    case Clipping::percentile_99_99:
      return "percentile 99.99";
    case Clipping::percentile_99_9:
      return "percentile 99.9";
    case Clipping::least_squares:
      return "least squares";
    case Clipping::entropy:
      return "entropy";
  }
  return "unknown";
}

ValueRange clipped_range(const Histogram& histogram, Clipping clipping) {
  if (histogram.total() == 0) throw UsageError("[calibration] expected numbers, got none");
  switch (clipping) {
    case Clipping::min_max:
      break;
    case Clipping::percentile_99_99:
      return cut_ends(histogram, 0.0001);
    case Clipping::percentile_99_9:
      return cut_ends(histogram, 0.001);
    case Clipping::least_squares:
      return least(squared_error, histogram);
    case Clipping::entropy:
      return least(divergence, histogram);
  }
  return histogram.extremes();
}

}  // namespace pila
