#include "weights/md5.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <vector>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::size_t kBlock = 64;

// RFC 1321, 3.4: the integer part of 2^32 |sin(i + 1)|.
const std::array<std::uint32_t, 64> kSines = [] {
  std::array<std::uint32_t, 64> table{};
  for (int i = 0; i < 64; ++i) {
    table[static_cast<std::size_t>(i)] =
        static_cast<std::uint32_t>(std::floor(std::ldexp(std::abs(std::sin(i + 1.0)), 32)));
  }
  return table;
}();

constexpr int kRotations[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

// Least significant byte first.
void store(std::uint64_t value, std::span<std::byte> bytes) {
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(value);
    value >>= 8;
  }
}

std::uint32_t word(const std::byte* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) {
    value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  }
  return value;
}

}  // namespace

void Md5::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t used = bytes_ % kBlock;
    const std::size_t count = std::min(kBlock - used, bytes.size());
    std::copy_n(bytes.begin(), count, rest_.begin() + static_cast<std::ptrdiff_t>(used));
    bytes_ += count;
    bytes = bytes.subspan(count);
    if (bytes_ % kBlock == 0) {
      add_block(rest_.data());
    }
  }
}

void Md5::add_block(const std::byte* block) {
  auto [a, b, c, d] = state_;
  for (std::uint32_t i = 0; i < 64; ++i) {
    const std::uint32_t round = i / 16;
    const std::uint32_t mixed = round == 0   ? (b & c) | (~b & d)
                                : round == 1 ? (d & b) | (~d & c)
                                : round == 2 ? b ^ c ^ d
                                             : c ^ (b | ~d);
    constexpr std::uint32_t kStep[4] = {1, 5, 3, 7}, kStart[4] = {0, 1, 5, 0};
    const std::uint32_t place = (kStart[round] + kStep[round] * i) % 16;
    const std::uint32_t sum = a + mixed + kSines[i] + word(block + 4 * place);
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kRotations[round][i % 4]);
  }
  state_[0] += a;
  state_[1] += b;
  state_[2] += c;
  state_[3] += d;
}

std::string Md5::finish() {
  std::array<std::byte, 8> length;
  store(bytes_ * 8, length);
  std::vector<std::byte> padding((kBlock + 55 - bytes_ % kBlock) % kBlock + 1);
  padding[0] = std::byte{0x80};
  add(padding);
  add(length);
  std::string text;
  for (std::uint32_t part : state_) {
    for (int i = 0; i < 4; ++i, part >>= 8) {
      constexpr char kDigits[] = "0123456789abcdef";
      text += kDigits[part >> 4 & 15];
      text += kDigits[part & 15];
    }
  }
  return text;
}

std::string md5_of_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  Md5 md5;
  std::vector<char> block(1 << 20);
  while (stream) {
    stream.read(block.data(), static_cast<std::streamsize>(block.size()));
    md5.add(std::as_bytes(std::span(block).first(static_cast<std::size_t>(stream.gcount()))));
  }
  if (!stream.eof()) {
    throw FileError(file.string() + ": cannot be read");
  }
  return md5.finish();
}

}  // namespace pila
