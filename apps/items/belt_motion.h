// How far the belt moves from frame to frame, told by what lies on it.
#pragma once

#include <optional>
#include <vector>

#include "apps/items/belt_profile.h"

namespace pila {

// Lengths are in cells, to the right or down; times in seconds. For profiles of one length.
class BeltMotion {
 public:
  // sign: 1 or -1 for a belt that is known to move to the right (down) or left (up), 0 for any. interval:
  // between two frames, about.
  BeltMotion(int length, int sign, double interval);

  // What two frames say, without taking a step: what many pairs say together tells how fast the belt is even
  // where things look alike.
  void study(const BeltProfile& before, const BeltProfile& now, double seconds);
  // Takes the speed that what was studied says, if it says one. False when there was too little.
  bool settle();

  // By how far the belt has moved since the last step. Where all that is in view is new, it is more than the
  // picture.
  double step(const BeltProfile& now, double seconds);

  std::optional<double> speed() const;             // cells a second
  double explained() const { return explained_; }  // sum over steps: how well movement explains what is seen

 private:
  void match(const BeltProfile& before, const BeltProfile& now);
  double score_at(double shift) const;
  double evidence_at(double speed) const;
  void collect(double seconds);
  double choose(double expected, double seconds) const;
  void learn(double shift, double expected, double seconds);
  double lost(double expected) const;

  int length_, sign_, reach_;
  double interval_;
  std::vector<double> scores_;  // by shift from -reach on: 1 all fits, 0 nothing to be said, -1 nothing fits
  std::vector<double> told_;    // by shift: 0 where things would all be out of view, so that nothing can tell
  std::vector<double> evidence_;  // the same by cells an interval, summed up
  double evidence_weight_ = 0;
  double speed_ = 0, sureness_ = 0, explained_ = 0;
  BeltProfile key_;  // what steps are measured from: short ones add up their rounding otherwise
  double since_key_ = 0, moved_since_key_ = 0;
};

}  // namespace pila
