// Deciders that go by what the network says alone, not by where things are.
#pragma once

#include <deque>

#include "apps/items/decider.h"
#include "apps/items/evidence.h"
#include "apps/items/picture_grid.h"

namespace pila {

// What such deciders have in common.
class AnswerDecider : public Decider {
 public:
  AnswerDecider(const DecisionOptions& options, Recognise recognise);
  Presence presence() const override;

 protected:
  // An item under way.
  struct Stretch {
    Evidence evidence;
    std::int64_t first_frame = 0, last_frame = 0;
    double entered = 0, left = 0;
    int frames = 0;  // seen, whether or not they count

    void add(const Frame& frame, const Sighting& sighting, double weight);
    void merge(Stretch&& later);
  };
  double sharp(const Frame& frame);  // weight of the whole picture
  Item decide(Stretch& stretch);     // leaves it empty

  DecisionOptions options_;
  Recognise recognise_;
  std::int64_t number_;  // of the latest item
  bool something_ = false;

 private:
  PictureSampler sampler_;
  PictureGrid grid_;
};

// Mode items with a class for nothing: what lies between two stretches of it. One odd frame neither begins
// nor ends an item.
class EmptyClassDecider : public AnswerDecider {
 public:
  using AnswerDecider::AnswerDecider;
  std::vector<Item> take(const Frame& frame, const Sighting& sighting) override;
  std::vector<Item> finish() override;

 private:
  Stretch stretch_;
  int against_ = 0;  // frames on end that speak against the present state
};

// Mode change.
class ChangeDecider : public AnswerDecider {
 public:
  using AnswerDecider::AnswerDecider;
  std::vector<Item> take(const Frame& frame, const Sighting& sighting) override;
  std::vector<Item> finish() override;

 private:
  void end(std::vector<Item>& items);

  std::vector<double> mean_;  // of probabilities
  std::size_t label_ = 0;
  Stretch stretch_, other_;  // other_: the latest frames, where they say something else
};

// Mode frames.
class FrameDecider : public AnswerDecider {
 public:
  using AnswerDecider::AnswerDecider;
  std::vector<Item> take(const Frame& frame, const Sighting& sighting) override;
  std::vector<Item> finish() override { return {}; }
};

// Mode trigger.
class TriggerDecider : public AnswerDecider {
 public:
  TriggerDecider(const DecisionOptions& options, Recognise recognise);
  std::vector<Item> take(const Frame& frame, const Sighting& sighting) override;
  void trigger(double seconds) override;
  std::vector<Item> finish() override;

 private:
  struct Kept {
    Frame frame;
    Sighting sighting;
    double weight = 0;
  };
  void signal_belt(double now);
  std::vector<Item> tell(bool all);
  Item decide_at(double signal);

  double period_ = 0;  // seconds between two items on the belt; 0: signals come from outside
  double next_signal_ = 0;
  bool started_ = false;
  std::deque<Kept> kept_;        // the latest frames
  std::vector<double> signals_;  // that wait, in order
  std::deque<double> handled_;   // the latest ones
};

}  // namespace pila
