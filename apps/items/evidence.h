// What the frames of one item say together.
#pragma once

#include <optional>
#include <vector>

#include "apps/capture/frame.h"
#include "apps/items/decider.h"
#include "apps/items/item.h"

namespace pila {

class Evidence {
 public:
  // Frames of the highest rank alone count. A weight that is not above 0, and probabilities that are not
  // numbers, do not count at all; nor does what a model with other classes said before.
  void add(const Frame& frame, const Sighting& sighting, int rank, double weight);
  // The same, but of frames of that rank one alone counts, which has about the largest weight.
  void add_best(const Frame& frame, const Sighting& sighting, int rank, double weight);
  // As if what `later` was told had been told here.
  void merge(Evidence&& later);
  bool empty() const { return frames_ == 0; }

  // Fills in label, probabilities, familiarity, recognised, frames and picture. `never`: a class that is not
  // the answer. Without evidence, the item is not recognised.
  void decide(Item& item, const Recognise& recognise, std::optional<std::size_t> never);

 private:
  int rank_ = 0;
  int frames_ = 0;
  double weight_ = 0, familiarity_ = 0;  // sums
  std::vector<double> logs_;             // weighted sums, by class
  double picture_weight_ = 0;
  std::int64_t picture_frame_ = 0;
  media::Image picture_;
};

// Whether there are classes, and each has a number (or nothing at all, minus infinity).
bool usable(const Sighting& sighting);
// Of a usable sighting.
std::size_t most_probable(const Sighting& sighting);

}  // namespace pila
