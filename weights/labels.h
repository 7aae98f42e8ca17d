// Class names, one a line; read_labels() is in load_model.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pila {

// The lines of `text`: a byte-order mark, line ends of Windows, spaces at the ends and empty last lines are
// dropped. When every line begins with a number and these are 0 to n-1, each once, they are dropped and give
// the order. Throws FileError, without a file's name, for no line at all, an empty line between others, a
// line above 1000 bytes, more than 100,000 lines, and what is not UTF-8 text.
std::vector<std::string> parse_labels(std::string_view text);

}  // namespace pila
