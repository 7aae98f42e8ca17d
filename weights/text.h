// Words for error messages, safe whatever a foreign file put into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pila {

// 'text' in quotes on one line: control characters become '?', long text is cut at 80 bytes.
std::string in_quotes(std::string_view text);

// "a, b, c and 12 more": at most `most` items.
std::string listed(std::span<const std::string> items, std::size_t most = 5);

// "[3, 3, 32]".
std::string shape_text(std::span<const std::int64_t> shape);

// Whether text ends with the whole path component(s) `tail`: "a/b/c" ends with "c" and "b/c", not with "/c".
bool ends_with_path(std::string_view path, std::string_view tail);

// What stands behind the last slash.
std::string_view last_component(std::string_view path);

std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace pila
