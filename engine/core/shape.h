// The extents of a tensor.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "kernels/args/elementwise.h"

namespace pila {

// Up to six axes; images are [batch, height, width, channels]. Rank 0 is a single number.
class Shape {
 public:
  static constexpr int kMaxRank = kernels::kMaxRank;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  // Throws ShapeError for more than kMaxRank axes, a negative extent, or 2^60 elements and more.
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  // Negative axes count from the end; `axis` is not checked.
  std::int64_t operator[](int axis) const { return extents_[axis < 0 ? axis + rank_ : axis]; }
  std::int64_t elements() const;
  std::span<const std::int64_t> extents() const { return {extents_.data(), static_cast<std::size_t>(rank_)}; }
  bool operator==(const Shape& other) const;
  std::string to_string() const;  // "[32, 7, 7, 1280]"

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace pila
