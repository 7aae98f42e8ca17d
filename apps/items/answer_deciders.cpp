#include "apps/items/answer_deciders.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pila {
namespace {

constexpr int kTurn = 2;          // frames on end that begin or end an item
constexpr double kThere = 0.6;    // probability that there is something, to begin an item
constexpr double kNothing = 0.4;  // to end it
constexpr double kAhead = 0.1;    // by which another answer has to be more probable

double probability(const Sighting& sighting, std::size_t label) {
  return label < sighting.log_probabilities.size() ? std::exp(double{sighting.log_probabilities[label]}) : 0;
}

}  // namespace

AnswerDecider::AnswerDecider(const DecisionOptions& options, Recognise recognise)
    : options_(options), recognise_(std::move(recognise)), number_(options.first_number - 1) {}

Presence AnswerDecider::presence() const {
  if (!something_) return {};
  return {.something = true, .item = number_ + 1, .left = 0, .top = 0, .right = 1, .bottom = 1};
}

double AnswerDecider::sharp(const Frame& frame) {
  sampler_.sample(frame.image, grid_);
  return 1 + sharpness(frame.image, grid_, {});
}

void AnswerDecider::Stretch::add(const Frame& frame, const Sighting& sighting, double weight) {
  if (frames++ == 0) {
    first_frame = frame.index;
    entered = frame.seconds;
  }
  last_frame = frame.index;
  left = frame.seconds;
  evidence.add(frame, sighting, 0, weight);
}

void AnswerDecider::Stretch::merge(Stretch&& later) {
  if (later.frames == 0) return;
  if (frames == 0) {
    *this = std::exchange(later, {});
    return;
  }
  frames += later.frames;
  last_frame = later.last_frame;
  left = later.left;
  evidence.merge(std::move(later.evidence));
  later = {};
}

Item AnswerDecider::decide(Stretch& stretch) {
  Item item;
  item.number = ++number_;
  item.first_frame = stretch.first_frame;
  item.last_frame = stretch.last_frame;
  item.entered = stretch.entered;
  item.left = stretch.left;
  item.passed = (stretch.entered + stretch.left) / 2;
  stretch.evidence.decide(item, recognise_, options_.empty_class);
  stretch = {};
  return item;
}

std::vector<Item> EmptyClassDecider::take(const Frame& frame, const Sighting& sighting) {
  std::vector<Item> items;
  if (!usable(sighting)) return items;
  const double there = 1 - probability(sighting, *options_.empty_class);
  const bool against = something_ ? there < kNothing : there > kThere;
  against_ = against ? against_ + 1 : 0;
  if (!something_) {
    // What begins an item belongs to it, if it turns out to be one.
    if (!against) {
      stretch_ = {};
      return items;
    }
    stretch_.add(frame, sighting, sharp(frame) * there);
    if (against_ < kTurn) return items;
    something_ = true;
    against_ = 0;
  } else if (!against) {
    stretch_.add(frame, sighting, sharp(frame) * there);
  } else if (against_ >= kTurn) {
    items.push_back(decide(stretch_));
    something_ = false;
    against_ = 0;
  }
  return items;
}

std::vector<Item> EmptyClassDecider::finish() {
  std::vector<Item> items;
  if (something_) items.push_back(decide(stretch_));
  stretch_ = {};
  something_ = false;
  against_ = 0;
  return items;
}

std::vector<Item> ChangeDecider::take(const Frame& frame, const Sighting& sighting) {
  std::vector<Item> items;
  if (!usable(sighting)) return items;
  const std::size_t classes = sighting.log_probabilities.size();
  if (mean_.size() != classes) {
    if (!mean_.empty()) end(items);
    mean_.resize(classes);
    for (std::size_t i = 0; i < classes; ++i) mean_[i] = probability(sighting, i);
    label_ = most_probable(sighting);
  }
  for (std::size_t i = 0; i < classes; ++i) {
    mean_[i] = options_.smoothing * mean_[i] + (1 - options_.smoothing) * probability(sighting, i);
  }
  if (most_probable(sighting) == label_) {
    stretch_.merge(std::move(other_));
    stretch_.add(frame, sighting, sharp(frame));
  } else {
    other_.add(frame, sighting, sharp(frame));
  }
  const auto label = static_cast<std::size_t>(std::max_element(mean_.begin(), mean_.end()) - mean_.begin());
  if (label != label_ && mean_[label] > mean_[label_] + kAhead) {
    if (stretch_.frames > 0 && label_ != options_.empty_class) items.push_back(decide(stretch_));
    stretch_ = std::exchange(other_, {});
    label_ = label;
  }
  something_ = label_ != options_.empty_class;
  return items;
}

void ChangeDecider::end(std::vector<Item>& items) {
  stretch_.merge(std::move(other_));
  if (stretch_.frames > 0 && label_ != options_.empty_class) items.push_back(decide(stretch_));
  stretch_ = {};
  mean_.clear();
  something_ = false;
}

std::vector<Item> ChangeDecider::finish() {
  std::vector<Item> items;
  end(items);
  return items;
}

std::vector<Item> FrameDecider::take(const Frame& frame, const Sighting& sighting) {
  std::vector<Item> items;
  something_ = usable(sighting) && most_probable(sighting) != options_.empty_class;
  if (!something_) return items;
  Stretch stretch;
  stretch.add(frame, sighting, 1);
  items.push_back(decide(stretch));
  return items;
}

}  // namespace pila
