// The house's rules about includes, and who breaks them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pila::layering {

struct Violation {
  std::string file;  // relative to the tree
  int line = 0;
  std::string include;
  std::string rule;  // what the file should have kept to
  std::string to_string() const;
};

// Every forbidden include of the sources below `tree`, by file and line. Throws std::runtime_error when the
// tree has no source at all.
std::vector<Violation> check_includes(const std::filesystem::path& tree);

}  // namespace pila::layering
