#include "apps/items/dispatch.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr char kOthers[] = "others", kAll[] = "*";

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw UsageError("[bin] " + std::string(text) + ": " + why);
}

}  // namespace

BinRule parse_bin_rule(std::string_view text) {
  const auto at = text.rfind('@');
  const auto equals = text.substr(0, at).rfind('=');
  if (at == text.npos || equals == text.npos || equals == 0 || equals + 1 == at) {
    refuse(text, "expected LABEL=BIN@MM");
  }
  BinRule rule;
  rule.label = text.substr(0, equals);
  rule.bin = text.substr(equals + 1, at - equals - 1);
  const std::string_view number = text.substr(at + 1);
  const char* end = number.data() + number.size();
  const auto read = std::from_chars(number.data(), end, rule.distance_mm);
  if (read.ec != std::errc() || read.ptr != end || !std::isfinite(rule.distance_mm)) {
    refuse(text, "expected a distance in mm, got '" + std::string(number) + "'");
  }
  if (rule.distance_mm < 0) refuse(text, "expected a distance of 0 mm or more");
  return rule;
}

Dispatch::Dispatch(std::vector<BinRule> rules, std::vector<std::string> classes, double belt_mm_per_s,
                   double lead_s)
    : rules_(std::move(rules)), classes_(std::move(classes)), belt_mm_per_s_(belt_mm_per_s), lead_s_(lead_s) {
  if (!std::isfinite(belt_mm_per_s) || belt_mm_per_s < 0) {
    throw UsageError("[bin] expected a belt speed of 0 mm/s or more");
  }
  for (auto rule = rules_.begin(); rule != rules_.end(); ++rule) {
    const bool known = rule->label == kOthers || rule->label == kAll ||
                       std::find(classes_.begin(), classes_.end(), rule->label) != classes_.end();
    if (!known) refuse(rule->label, "no such class");
    if (!(rule->distance_mm >= 0)) refuse(rule->label, "expected a distance of 0 mm or more");
    const bool twice = std::any_of(rules_.begin(), rule,
                                   [&](const BinRule& earlier) { return earlier.label == rule->label; });
    if (twice) refuse(rule->label, "has two bins");
  }
}

const BinRule* Dispatch::rule_for(const std::string& label) const {
  const BinRule* fallback = nullptr;
  for (const BinRule& rule : rules_) {
    if (rule.label == label) return &rule;
    if (rule.label == kAll) fallback = &rule;
  }
  return fallback;
}

Dispatch::Shot Dispatch::operator()(const Item& item, double now) const {
  Shot shot;
  shot.label = item.recognised && item.label < classes_.size() ? classes_[item.label] : kOthers;
  const BinRule* rule = rule_for(shot.label);
  if (rule == nullptr) return shot;
  shot.bin = rule->bin;
  if (belt_mm_per_s_ == 0) return shot;
  shot.fire_at = item.passed + rule->distance_mm / belt_mm_per_s_;
  shot.missed = !(*shot.fire_at >= now + lead_s_);
  return shot;
}

}  // namespace pila
