#include "engine/core/shape.h"

#include <algorithm>
#include <limits>

#include "engine/core/error.h"

namespace pila {
namespace {

std::string list(std::span<const std::int64_t> extents) {
  std::string text = "[";
  for (std::size_t axis = 0; axis < extents.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(extents[axis]);
  }
  return text + "]";
}

}  // namespace

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) {
  if (extents.size() > static_cast<std::size_t>(kMaxRank)) {
    throw ShapeError("[shape] expected at most " + std::to_string(kMaxRank) + " axes, got " + list(extents));
  }
  // Small enough for the bytes of any element type to fit 64 bits, even without the axes of extent 0.
  std::int64_t room = std::numeric_limits<std::int64_t>::max() / 8;
  for (const std::int64_t extent : extents) {
    if (extent < 0) throw ShapeError("[shape] expected extents of at least 0, got " + list(extents));
    if (extent > room) throw ShapeError("[shape] expected fewer than 2^60 elements, got " + list(extents));
    room /= std::max<std::int64_t>(extent, 1);
  }
  std::copy(extents.begin(), extents.end(), extents_.begin());
  rank_ = static_cast<int>(extents.size());
}

std::int64_t Shape::elements() const {
  std::int64_t count = 1;
  for (int axis = 0; axis < rank_; ++axis) count *= extents_[axis];
  return count;
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && extents_ == other.extents_;
}

std::string Shape::to_string() const { return list(extents()); }

}  // namespace pila
