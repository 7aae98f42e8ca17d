// What the documentation is made of, as far as tests look at it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pila::test {

std::filesystem::path source_tree();
std::vector<std::filesystem::path> pages();

// What the pattern's first bracket took, wherever it matches.
std::vector<std::string> found(const std::string& text, const std::string& pattern);

struct Code {
  std::vector<std::string> spans;                // in a sentence, between backticks
  std::vector<std::vector<std::string>> blocks;  // lines without indentation, up to the next empty one;
                                                 // those that go on behind a backslash are one
};
Code code_of(const std::string& page);

}  // namespace pila::test
