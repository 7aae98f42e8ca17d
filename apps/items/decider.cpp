#include "apps/items/decider.h"

#include <cmath>
#include <utility>

#include "apps/items/answer_deciders.h"
#include "apps/items/belt_decider.h"
#include "engine/core/error.h"

namespace pila {
namespace {

void expect(bool fits, const char* what) {
  if (!fits) throw UsageError(std::string("[items] ") + what);
}

void check(const DecisionOptions& options) {
  expect(std::isfinite(options.belt_mm_per_s) && options.belt_mm_per_s >= 0,
         "expected a belt speed of 0 or more");
  expect(std::isfinite(options.trigger_mm) && options.trigger_mm >= 0, "expected 0 mm or more between items");
  expect(options.line >= 0 && options.line <= 1, "expected a line between 0 and 1");
  expect(options.smoothing >= 0 && options.smoothing < 1, "expected a smoothing from 0 to less than 1");
  expect(options.window_s > 0 && options.window_s <= 10,
         "expected a window of more than 0 and up to 10 seconds");
  if (options.mode == DecisionMode::trigger) {
    expect(options.trigger_mm == 0 || options.belt_mm_per_s > 0,
           "an item every so many millimetres needs the belt's speed");
    expect(options.trigger_mm == 0 || options.trigger_mm / options.belt_mm_per_s >= 1e-3,
           "expected less than 1000 items a second");
  } else {
    expect(options.trigger_mm == 0, "millimetres between items are for mode trigger");
  }
  expect(options.direction == BeltDirection::automatic ||
             (options.mode == DecisionMode::items && !options.empty_class),
         "a direction is for mode items on a learned belt");
}

}  // namespace

std::unique_ptr<Decider> make_decider(const DecisionOptions& options, Recognise recognise) {
  check(options);
  switch (options.mode) {
    case DecisionMode::items:
      if (options.empty_class) return std::make_unique<EmptyClassDecider>(options, std::move(recognise));
      return std::make_unique<BeltDecider>(options, std::move(recognise));
    case DecisionMode::change:
      return std::make_unique<ChangeDecider>(options, std::move(recognise));
    case DecisionMode::frames:
      return std::make_unique<FrameDecider>(options, std::move(recognise));
    case DecisionMode::trigger:
      return std::make_unique<TriggerDecider>(options, std::move(recognise));
  }
  throw UsageError("[items] no such mode");
}

}  // namespace pila
