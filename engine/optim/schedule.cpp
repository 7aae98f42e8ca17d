#include "engine/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "engine/core/error.h"

namespace pila {
namespace {

void check(bool good, const std::string& expected, const std::string& got) {
  if (!good) throw UsageError("[schedule] expected " + expected + ", got " + got);
}

bool is_size(double value) { return std::isfinite(value) && value >= 0; }

}  // namespace

double rate_at(const Schedule& schedule, std::int64_t step) {
  check(is_size(schedule.rate), "a rate of 0 or more", std::to_string(schedule.rate));
  check(is_size(schedule.final_fraction), "a final fraction of 0 or more",
        std::to_string(schedule.final_fraction));
  check(schedule.warmup_steps >= 0, "0 or more warm-up steps", std::to_string(schedule.warmup_steps));
  check(schedule.decay_steps >= 1, "1 or more steps of decay", std::to_string(schedule.decay_steps));
  check(step >= 0, "a step of 0 or more", std::to_string(step));
  if (step < schedule.warmup_steps) {
    return schedule.rate * static_cast<double>(step) / static_cast<double>(schedule.warmup_steps);
  }
  if (schedule.kind == ScheduleKind::constant) return schedule.rate;
  const std::int64_t decayed = std::min(step - schedule.warmup_steps, schedule.decay_steps);
  const double progress = static_cast<double>(decayed) / static_cast<double>(schedule.decay_steps);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return schedule.rate * ((1 - schedule.final_fraction) * cosine + schedule.final_fraction);
}

}  // namespace pila
