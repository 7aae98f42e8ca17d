#include "apps/core/class_names.h"

#include <map>

namespace pila {

std::vector<std::string> distinct_names(const std::vector<std::string>& names) {
  std::map<std::string, int> occurrences;
  for (const auto& name : names) ++occurrences[name];
  std::vector<std::string> distinct;
  distinct.reserve(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::string name = names[i];
    // Again where the file itself has a class of that longer name.
    while (occurrences.count(name) > 0 && (name != names[i] || occurrences[name] > 1)) {
      name += " (" + std::to_string(i) + ")";
    }
    distinct.push_back(std::move(name));
  }
  return distinct;
}

std::vector<std::string> index_names(std::int64_t count) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace pila
