#include "apps/media/lettering.h"

namespace pila::media {

std::string drawable(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool continues_character = (byte & 0xC0) == 0x80;
    if (byte >= 0x20 && byte < 0x7F) {
      result += c;
    } else if (!continues_character) {
      result += '?';
    }
  }
  return result;
}

std::string shortened(const std::string& text, const std::function<bool(const std::string&)>& fits) {
  const std::string whole = drawable(text);
  std::string result = whole;
  for (std::size_t kept = whole.size(); kept > 1 && !fits(result);) {
    --kept;
    const std::size_t tail = kept / 2;
    result = whole.substr(0, kept - tail) + "..." + whole.substr(whole.size() - tail);
  }
  return result;
}

}  // namespace pila::media
