#include "apps/items/belt_motion.h"

#include <algorithm>
#include <cmath>

namespace pila {
namespace {

constexpr double kMismatch = 0.5;   // weight of what does not fit
constexpr double kFits = 0.3;       // least score that tells something
constexpr double kTrust = 1.2;      // in the speed so far, against a score of 1, where nothing can tell
constexpr double kTrustTold = 0.7;  // less where all can
constexpr double kSure = 0.3;       // sureness of a speed that may be used
constexpr double kLeastStudied = 4, kLeastFit = 0.2;  // pairs, and their mean score
constexpr double kKeyTravel = 6;                      // cells
constexpr double kKeyIntervals = 30;
constexpr double kMemory = 0.97;

std::int64_t product(const BeltProfile& before, const BeltProfile& now, int from, int to, int shift) {
  const int lanes = before.lanes;
  std::int64_t sum = 0;
  for (int place = from; place < to; ++place) {
    const auto index = static_cast<std::size_t>(place);
    if (before.energy[index + 1] == before.energy[index]) continue;
    const std::int16_t* a = &before.values[index * static_cast<std::size_t>(lanes)];
    const std::int16_t* b =
        &now.values[(index + static_cast<std::size_t>(shift)) * static_cast<std::size_t>(lanes)];
    std::int32_t part = 0;
    for (int i = 0; i < lanes; ++i) part += std::int32_t{a[i]} * b[i];
    sum += part;
  }
  return sum;
}

}  // namespace

BeltMotion::BeltMotion(int length, int sign, double interval)
    : length_(length),
      sign_(sign),
      reach_(std::max(0, length - 3)),
      interval_(interval),
      scores_(static_cast<std::size_t>(2 * reach_ + 1)),
      told_(scores_.size()),
      evidence_(scores_.size()) {}

std::optional<double> BeltMotion::speed() const {
  if (sureness_ < kSure) return std::nullopt;
  return speed_;
}

void BeltMotion::match(const BeltProfile& before, const BeltProfile& now) {
  const double least = static_cast<double>(std::min(before.total_energy(), now.total_energy()));
  for (int shift = -reach_; shift <= reach_; ++shift) {
    double& score = scores_[static_cast<std::size_t>(shift + reach_)];
    double& told = told_[static_cast<std::size_t>(shift + reach_)];
    score = told = 0;
    if (shift * sign_ < -1) {
      score = -1;
      continue;
    }
    const int from = std::max(0, -shift), to = std::min(length_, length_ - shift);
    const auto energy = [](const BeltProfile& profile, int begin, int end) {
      return profile.energy[static_cast<std::size_t>(end)] - profile.energy[static_cast<std::size_t>(begin)];
    };
    const std::int64_t both = energy(before, from, to) + energy(now, from + shift, to + shift);
    if (both == 0) continue;
    told = std::min(1.0, static_cast<double>(both) / (2 * least));
    const std::int64_t fits = 2 * product(before, now, from, to, shift);
    score = (static_cast<double>(fits) - kMismatch * static_cast<double>(both - fits)) / (2 * least);
    score = std::max(-1.0, score);
  }
}

double BeltMotion::score_at(double shift) const {
  const int nearest = static_cast<int>(std::lround(std::clamp<double>(shift, -reach_, reach_)));
  return scores_[static_cast<std::size_t>(nearest + reach_)];
}

double BeltMotion::evidence_at(double speed) const {
  if (evidence_weight_ == 0) return 0;
  const double bin = std::clamp<double>(speed * interval_, -reach_, reach_);
  return evidence_[static_cast<std::size_t>(std::lround(bin) + reach_)] / evidence_weight_;
}

void BeltMotion::collect(double seconds) {
  evidence_weight_ = kMemory * evidence_weight_ + 1;
  for (int bin = -reach_; bin <= reach_; ++bin) {
    double& sum = evidence_[static_cast<std::size_t>(bin + reach_)];
    const double shift = bin / interval_ * seconds;
    sum = kMemory * sum + (std::abs(shift) <= reach_ ? score_at(shift) : 0);
  }
}

void BeltMotion::study(const BeltProfile& before, const BeltProfile& now, double seconds) {
  if (before.total_energy() == 0 || now.total_energy() == 0) return;
  match(before, now);
  collect(seconds);
  explained_ += *std::max_element(scores_.begin(), scores_.end());
}

bool BeltMotion::settle() {
  if (evidence_weight_ < kLeastStudied) return false;
  const auto best = std::max_element(evidence_.begin(), evidence_.end());
  const int bin = static_cast<int>(best - evidence_.begin()) - reach_;
  // Slow belts show better from a distance of several frames, see step().
  if (*best < kLeastFit * evidence_weight_ || std::abs(bin) < 3) return true;
  speed_ = bin / interval_;
  sureness_ = 0.5;
  return true;
}

double BeltMotion::choose(double expected, double seconds) const {
  const double width = std::max(1.5, 0.15 * std::abs(expected));
  double best = -10;
  int chosen = 0;
  for (int shift = -reach_; shift <= reach_; ++shift) {
    const double off = (shift - expected) / width;
    const double trust = kTrust - kTrustTold * told_[static_cast<std::size_t>(shift + reach_)];
    const double total = score_at(shift) + (1 - sureness_) * evidence_at(shift / seconds) +
                         trust * sureness_ * std::exp(-0.5 * off * off);
    // Of equals the shortest.
    if (total > best + 1e-9 || (total > best - 1e-9 && std::abs(shift) < std::abs(chosen))) {
      best = total;
      chosen = shift;
    }
  }
  if (std::abs(chosen) == reach_) return chosen;
  const double left = score_at(chosen - 1), here = score_at(chosen), right = score_at(chosen + 1);
  const double bend = left - 2 * here + right;
  if (here <= kFits || bend >= 0 || here < left || here < right) return chosen;
  return chosen + 0.5 * (left - right) / bend;
}

void BeltMotion::learn(double shift, double expected, double seconds) {
  const bool as_expected = std::abs(shift - expected) <= std::max(1.5, 0.15 * std::abs(expected));
  const double follow = as_expected ? std::max(0.15, 1 - sureness_) : 1 - sureness_;
  sureness_ = std::clamp(sureness_ + (as_expected ? 0.15 : -0.35), 0.0, 1.0);
  speed_ += follow * (shift / seconds - speed_);
}

double BeltMotion::lost(double expected) const {
  const int sign = sign_ != 0 ? sign_ : expected < 0 ? -1 : 1;
  return sign * std::max(2.0 * length_, std::abs(expected));
}

double BeltMotion::step(const BeltProfile& now, double seconds) {
  since_key_ += seconds;
  const bool sure = sureness_ >= kSure;
  const double expected = speed_ * since_key_;  // since the key
  double shift = sure ? expected : moved_since_key_;
  bool renew = true;
  if (now.total_energy() == 0) {
    // One frame without anything is no reason to forget where it was.
    renew = !sure || std::abs(expected) > length_ || since_key_ > 4 * interval_;
  } else if (key_.total_energy() > 0 && !(sure && std::abs(expected) > reach_)) {
    match(key_, now);
    collect(since_key_);
    shift = choose(expected, since_key_);
    const double score = score_at(shift);
    explained_ += score;
    if (score >= kFits) {
      learn(shift, expected, since_key_);
    } else if (!sure) {
      shift = lost(expected);
    } else {
      shift = expected;  // nothing speaks for another one
      if (score < 0) sureness_ -= 0.1;
    }
    renew = std::abs(shift) >= kKeyTravel || since_key_ > kKeyIntervals * interval_ || score < 0.7;
  }
  const double moved = shift - moved_since_key_;
  moved_since_key_ = shift;
  if (renew) {
    key_ = now;
    since_key_ = moved_since_key_ = 0;
  }
  return moved;
}

}  // namespace pila
