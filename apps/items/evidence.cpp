#include "apps/items/evidence.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pila {
namespace {

// A probability of zero in one frame shall not decide alone.
constexpr double kLeastLog = -30;
// Pictures are large: one is only replaced by one that counts clearly more.
constexpr double kBetterPicture = 1.25;

bool counts(const Sighting& sighting, double weight) {
  return weight > 0 && std::isfinite(weight) && usable(sighting);
}

}  // namespace

bool usable(const Sighting& sighting) {
  return !sighting.log_probabilities.empty() &&
         std::none_of(sighting.log_probabilities.begin(), sighting.log_probabilities.end(),
                      [](float value) { return std::isnan(value) || value > 1e6f; });
}

std::size_t most_probable(const Sighting& sighting) {
  const auto& logs = sighting.log_probabilities;
  return static_cast<std::size_t>(std::max_element(logs.begin(), logs.end()) - logs.begin());
}

void Evidence::add(const Frame& frame, const Sighting& sighting, int rank, double weight) {
  if (!counts(sighting, weight)) return;
  const auto& logs = sighting.log_probabilities;
  if (frames_ > 0 && rank < rank_) return;
  if (frames_ == 0 || rank > rank_ || logs.size() != logs_.size()) {
    logs_.assign(logs.size(), 0);
    frames_ = 0;
    weight_ = familiarity_ = picture_weight_ = 0;
    rank_ = rank;
  }
  ++frames_;
  weight_ += weight;
  familiarity_ += weight * (std::isfinite(sighting.familiarity) ? sighting.familiarity : 0);
  for (std::size_t i = 0; i < logs.size(); ++i) logs_[i] += weight * std::max<double>(logs[i], kLeastLog);
  if (weight > kBetterPicture * picture_weight_) {
    picture_weight_ = weight;
    picture_frame_ = frame.index;
    picture_ = frame.image;
  }
}

void Evidence::add_best(const Frame& frame, const Sighting& sighting, int rank, double weight) {
  if (!counts(sighting, weight)) return;
  if (frames_ > 0 && rank <= rank_ && (rank < rank_ || weight <= kBetterPicture * weight_)) return;
  frames_ = 0;
  add(frame, sighting, rank, weight);
}

void Evidence::merge(Evidence&& later) {
  if (later.empty() || (!empty() && later.rank_ < rank_)) return;
  if (empty() || later.rank_ > rank_ || later.logs_.size() != logs_.size()) {
    *this = std::move(later);
    return;
  }
  frames_ += later.frames_;
  weight_ += later.weight_;
  familiarity_ += later.familiarity_;
  for (std::size_t i = 0; i < logs_.size(); ++i) logs_[i] += later.logs_[i];
  if (later.picture_weight_ > kBetterPicture * picture_weight_) {
    picture_weight_ = later.picture_weight_;
    picture_frame_ = later.picture_frame_;
    picture_ = std::move(later.picture_);
  }
}

void Evidence::decide(Item& item, const Recognise& recognise, std::optional<std::size_t> never) {
  item.recognised = false;
  if (empty()) return;
  double largest = kLeastLog;
  for (double& log : logs_) {
    log /= weight_;
    largest = std::max(largest, log);
  }
  double sum = 0;
  for (const double log : logs_) sum += std::exp(log - largest);
  item.probabilities.clear();
  for (const double log : logs_) {
    item.probabilities.push_back(static_cast<float>(std::exp(log - largest) / sum));
  }
  item.label = never == std::size_t{0} && logs_.size() > 1 ? 1 : 0;
  for (std::size_t i = 0; i < logs_.size(); ++i) {
    if (i != never && logs_[i] > logs_[item.label]) item.label = i;
  }
  item.familiarity = familiarity_ / weight_;
  item.frames = frames_;
  item.picture_frame = picture_frame_;
  item.picture = std::move(picture_);
  item.recognised = !recognise || recognise(item.probabilities, item.familiarity);
  *this = Evidence();
}

}  // namespace pila
