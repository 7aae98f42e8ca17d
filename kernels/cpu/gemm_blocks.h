// How products are cut into blocks and where their scratch memory lies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace pila::kernels::cpu {

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

// [0, total) in equal blocks of at most `limit` (or one unit), each a multiple of `unit` but the last.
struct Blocks {
  Blocks(std::int64_t total_size, std::int64_t limit, std::int64_t unit) : total(total_size) {
    const std::int64_t wanted = ceil_div(total, std::max(limit, unit));
    size = round_up(ceil_div(total, std::max<std::int64_t>(wanted, 1)), unit);
    count = ceil_div(total, std::max<std::int64_t>(size, 1));
  }
  std::int64_t begin(std::int64_t block) const { return block * size; }
  std::int64_t end(std::int64_t block) const { return std::min(total, (block + 1) * size); }

  std::int64_t total, size, count;
};

// Rows of numbers, `stride` elements apart.
struct RowsView {
  const float* data = nullptr;
  std::int64_t stride = 0;
};

// Lays out scratch memory piece by piece, each on cache lines of its own. From null it only counts.
class Scratch {
 public:
  explicit Scratch(void* memory = nullptr) : memory_(static_cast<std::byte*>(memory)) {}

  template <class T>
  T* take(std::int64_t count) {
    T* piece = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + bytes_);
    bytes_ += static_cast<std::size_t>(round_up(count * static_cast<std::int64_t>(sizeof(T)), kLine));
    return piece;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::int64_t kLine = 64;

  std::byte* memory_;
  std::size_t bytes_ = 0;
};

}  // namespace pila::kernels::cpu
