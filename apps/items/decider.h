// From frames to items: one verdict for each thing that goes by.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/capture/frame.h"
#include "apps/items/item.h"

namespace pila {

enum class DecisionMode {
  items,   // between two stretches of nothing: told by a class for that, or by a learned picture of the empty
           // belt
  change,  // streams without gaps: answers are smoothed, and an item is what lies between two changes of the
           // answer
  frames,  // every frame by itself
  trigger  // a window around each signal: every so many millimetres of belt, or from outside
};

// Where the belt moves to, in the picture.
enum class BeltDirection { automatic, right, left, down, up };

struct DecisionOptions {
  DecisionMode mode = DecisionMode::items;
  std::optional<std::size_t> empty_class;  // the class that means "nothing there"; none: the belt is learned
  double belt_mm_per_s = 0;                // 0: unknown
  double trigger_mm = 0;                   // of belt between two items; mode trigger without outside signals
  double line = 0.5;       // where an item has passed: share of the picture from where items enter
  double smoothing = 0.7;  // mode change: share of the past in the running mean
  BeltDirection direction = BeltDirection::automatic;  // a learned belt's; automatic: as things move
  double window_s = 0.1;                               // mode trigger: frames that count for a signal
  std::int64_t first_number = 1;                       // of items
};

// Where something is to be seen in the latest frame, in shares of the picture.
struct Presence {
  bool something = false;
  std::int64_t item = 0;  // the number that it will have; 0 for none
  double left = 0, top = 0, right = 0, bottom = 0;
};

// Whether probabilities and familiarity are good enough not to be "others".
using Recognise = std::function<bool(std::span<const float> probabilities, double familiarity)>;

// For one thread.
class Decider {
 public:
  virtual ~Decider() = default;
  // Takes frames in order, with what the network said of them; returns the items that are complete now.
  virtual std::vector<Item> take(const Frame& frame, const Sighting& sighting) = 0;
  // A signal from outside, at that second of the stream: mode trigger without trigger_mm.
  virtual void trigger(double /*seconds*/) {}
  // The item under way, if any, when the stream has ended.
  virtual std::vector<Item> finish() = 0;
  virtual Presence presence() const = 0;
};

// Throws UsageError for options that do not fit each other.
std::unique_ptr<Decider> make_decider(const DecisionOptions& options, Recognise recognise);

}  // namespace pila
