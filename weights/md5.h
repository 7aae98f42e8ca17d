// MD5 (RFC 1321): what Keras publishes to check its weight files with. No protection against intent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace pila {

class Md5 {
 public:
  void add(std::span<const std::byte> bytes);
  // 32 hexadecimal digits. Ends the calculation.
  std::string finish();

 private:
  void add_block(const std::byte* block);
  std::array<std::uint32_t, 4> state_ = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476};
  std::array<std::byte, 64> rest_{};
  std::uint64_t bytes_ = 0;
};

// Of a file's content. Throws FileError, the file's name first, when it cannot be read.
std::string md5_of_file(const std::filesystem::path& file);

}  // namespace pila
