// The learning rate as a function of the step.
#pragma once

#include <cstdint>

namespace pila {

enum class ScheduleKind { constant, cosine };

// From the end of the warm-up on, `rate`: for ever, or falling along half a cosine to rate * final_fraction
// within decay_steps, where it stays. In the warm-up, step s (from 0) has rate * s / warmup_steps. Keras:
// CosineDecay with warmup_target, its alpha being final_fraction.
struct Schedule {
  ScheduleKind kind = ScheduleKind::constant;
  double rate = 1e-3;
  std::int64_t warmup_steps = 0;
  std::int64_t decay_steps = 1;  // cosine, beside the warm-up
  double final_fraction = 0;     // cosine
};

// The rate at a step, counted from 0. Throws UsageError for a rate or fraction that is negative or not
// finite, negative warmup_steps, decay_steps below 1, or a negative step.
double rate_at(const Schedule& schedule, std::int64_t step);

}  // namespace pila
