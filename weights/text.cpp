#include "weights/text.h"

#include <algorithm>

namespace pila {

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string result = "'";
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7F ? '?' : c;
  }
  return result + (text.size() > kLongest ? "...'" : "'");
}

std::string listed(std::span<const std::string> items, std::size_t most) {
  std::string result;
  for (std::size_t i = 0; i < std::min(items.size(), most); ++i) {
    result += (i > 0 ? ", " : "") + items[i];
  }
  if (items.size() > most) {
    result += " and " + std::to_string(items.size() - most) + " more";
  }
  return result;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string result = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    result += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return result + "]";
}

bool ends_with_path(std::string_view path, std::string_view tail) {
  if (!path.ends_with(tail) || tail.empty()) {
    return false;
  }
  return path.size() == tail.size() || path[path.size() - tail.size() - 1] == '/';
}

std::string_view last_component(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  for (std::size_t end = text.find(separator); end != std::string_view::npos;
       end = text.find(separator, start)) {
    parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  parts.push_back(text.substr(start));
  return parts;
}

}  // namespace pila
