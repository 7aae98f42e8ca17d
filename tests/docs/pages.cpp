#include "tests/docs/pages.h"

#include <algorithm>
#include <regex>
#include <sstream>

namespace fs = std::filesystem;

namespace pila::test {

fs::path source_tree() { return PILA_SOURCE_DIR; }

std::vector<fs::path> pages() {
  const fs::path tree = source_tree();
  std::vector<fs::path> files = {tree / "README.md", tree / "CONTRIBUTING.md", tree / "CHANGELOG.md",
                                 tree / "bench/accuracy/README.md", tree / "weights/drawn/README.md"};
  for (const auto& entry : fs::directory_iterator(tree / "docs")) {
    if (entry.path().extension() == ".md") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> found(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> result;
  for (std::sregex_iterator match(text.begin(), text.end(), regex), end; match != end; ++match) {
    result.push_back((*match)[1]);
  }
  return result;
}

Code code_of(const std::string& page) {
  const std::string indent = "    ";
  Code code;
  code.spans = found(page, "`([^`\n]+)`");
  std::istringstream stream(std::regex_replace(page, std::regex("\\\\\n *"), ""));
  bool inside = false;
  for (std::string line; std::getline(stream, line);) {
    const bool code_line = line.rfind(indent, 0) == 0;
    if (code_line && !inside) code.blocks.emplace_back();
    if (code_line) code.blocks.back().push_back(line.substr(indent.size()));
    inside = code_line;
  }
  return code;
}

}  // namespace pila::test
