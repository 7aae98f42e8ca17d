// Which bin an item goes to, and when its ejector has to fire.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/items/item.h"

namespace pila {

struct BinRule {
  std::string label;  // a class, "others" for what is not recognised, "*" for all that has no rule
  std::string bin;
  double distance_mm = 0;  // from the line, along the belt
};

// "LABEL=BIN@MM", such as "aa=left@450" or "*=rest@600". The last '=' and the last '@' count, so that a class
// may have them in its name. Throws UsageError for anything else, and for a distance below 0.
BinRule parse_bin_rule(std::string_view text);

class Dispatch {
 public:
  struct Shot {
    std::string label;              // the item's class, or "others"
    std::string bin;                // empty: it stays on the belt
    std::optional<double> fire_at;  // seconds of the stream; none without a bin or the belt's speed
    bool missed = false;            // fire_at is too near, or in the past
  };

  // Throws UsageError for labels that are no class, two rules for one label, and a negative speed.
  // belt_mm_per_s: 0 where it isn't known. lead_s: what it takes from a verdict to a shot.
  Dispatch(std::vector<BinRule> rules, std::vector<std::string> classes, double belt_mm_per_s,
           double lead_s = 0);

  // now: seconds of the stream.
  Shot operator()(const Item& item, double now) const;

 private:
  const BinRule* rule_for(const std::string& label) const;

  std::vector<BinRule> rules_;
  std::vector<std::string> classes_;
  double belt_mm_per_s_, lead_s_;
};

}  // namespace pila
