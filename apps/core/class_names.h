// What classes are called in output, where every name must be a key of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pila {

// The names, with " (index)" behind those that occur more than once: ImageNet's two cranes become
// "crane (134)" and "crane (517)".
std::vector<std::string> distinct_names(const std::vector<std::string>& names);

// "0", "1", ...: for a model that does not say what its classes are.
std::vector<std::string> index_names(std::int64_t count);

}  // namespace pila
