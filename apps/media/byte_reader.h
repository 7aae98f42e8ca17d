// Numbers out of a picture file's bytes, never past their end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace pila::media {

using Bytes = std::span<const std::uint8_t>;

// The part [offset, offset + size) of the bytes, cut short where they end.
inline Bytes part(Bytes bytes, std::size_t offset, std::size_t size = Bytes::extent) {
  if (offset >= bytes.size()) return {};
  return bytes.subspan(offset, std::min(size, bytes.size() - offset));
}

inline bool has(Bytes bytes, std::size_t offset, std::string_view text) {
  const Bytes found = part(bytes, offset, text.size());
  if (found.size() != text.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (found[i] != static_cast<std::uint8_t>(text[i])) return false;
  }
  return true;
}

// An unsigned number of `size` bytes, at most four; 0 where the bytes end before it does.
inline std::uint32_t number(Bytes bytes, std::size_t offset, std::size_t size, bool big_endian) {
  const Bytes digits = part(bytes, offset, size);
  if (digits.size() != size) return 0;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value = value << 8 | digits[big_endian ? i : size - 1 - i];
  }
  return value;
}
inline std::uint32_t big16(Bytes bytes, std::size_t offset) { return number(bytes, offset, 2, true); }
inline std::uint32_t big32(Bytes bytes, std::size_t offset) { return number(bytes, offset, 4, true); }
inline std::uint32_t little16(Bytes bytes, std::size_t offset) { return number(bytes, offset, 2, false); }
inline std::uint32_t little24(Bytes bytes, std::size_t offset) { return number(bytes, offset, 3, false); }
inline std::uint32_t little32(Bytes bytes, std::size_t offset) { return number(bytes, offset, 4, false); }

}  // namespace pila::media
