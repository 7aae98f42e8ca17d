#include "engine/plan/ranges.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"

namespace pila {

kernels::Quantization quantization_of(const ValueRange& range) {
  if (!std::isfinite(range.low) || !std::isfinite(range.high) || range.high < range.low) {
    throw UsageError("[range] expected two finite numbers, the smaller one first, got " +
                     std::to_string(range.low) + " to " + std::to_string(range.high));
  }
  const float low = std::min(range.low, 0.0f), high = std::max(range.high, 0.0f);
  const float scale = high / 255.0f - low / 255.0f;
  if (!(scale >= std::numeric_limits<float>::min())) return {};  // nothing but zeros
  return {scale, std::clamp(static_cast<std::int32_t>(std::nearbyintf(-low / scale)), 0, 255)};
}

}  // namespace pila
