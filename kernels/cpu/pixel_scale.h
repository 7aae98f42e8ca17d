// Pixels to numbers, x * scale[channel] + offset[channel]; included like simd.h.

#if defined(PILA_KERNELS_CPU_PIXEL_SCALE_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_PIXEL_SCALE_H_
#undef PILA_KERNELS_CPU_PIXEL_SCALE_H_
#else
#define PILA_KERNELS_CPU_PIXEL_SCALE_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/args/image.h"
#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

class PixelScale {
 public:
  PixelScale(const float* scale, const float* offset, int channels)
      : group_(static_cast<std::size_t>(channels) * kFloatLanes) {
    for (std::size_t i = 0; i < group_; ++i) {
      scale_[i] = scale[i % static_cast<std::size_t>(channels)];
      offset_[i] = offset[i % static_cast<std::size_t>(channels)];
    }
  }

  // `numbers` of whole pixels.
  void apply(const std::uint8_t* x, float* y, std::int64_t numbers) const {
    const auto count = static_cast<std::size_t>(numbers);
    std::size_t i = 0;
    for (; i + group_ <= count; i += group_) apply_group(x + i, y + i);
    if (i == count) return;
    // The same arithmetic for the last pixels, so that a pixel's value does not depend on its place.
    std::uint8_t last_x[kMaxGroup] = {};
    float last_y[kMaxGroup];
    std::memcpy(last_x, x + i, count - i);
    apply_group(last_x, last_y);
    std::memcpy(y + i, last_y, (count - i) * sizeof(float));
  }

 private:
  // As many vectors as there are channels hold whole pixels, and begin with the first channel.
  static constexpr std::size_t kMaxGroup = kMaxImageChannels * kFloatLanes;

  HWY_INLINE void apply_group(const std::uint8_t* x, float* y) const {
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> ints;
    const hn::Rebind<std::uint8_t, FloatTag> bytes;
    for (std::size_t i = 0; i < group_; i += kFloatLanes) {
      const auto pixel = hn::ConvertTo(d, hn::PromoteTo(ints, hn::LoadU(bytes, x + i)));
      hn::StoreU(hn::MulAdd(pixel, hn::LoadU(d, scale_ + i), hn::LoadU(d, offset_ + i)), d, y + i);
    }
  }

  const std::size_t group_;
  float scale_[kMaxGroup], offset_[kMaxGroup];
};

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
