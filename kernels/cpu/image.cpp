#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/image.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/args/image.h"
#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// As many vectors as there are channels hold whole pixels, and begin with the first channel.
constexpr std::size_t kMaxGroup = kMaxImageChannels * kFloatLanes;

HWY_INLINE void scale_group(const std::uint8_t* x, const float* scale, const float* offset, float* y,
                            std::size_t group) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> ints;
  const hn::Rebind<std::uint8_t, FloatTag> bytes;
  for (std::size_t i = 0; i < group; i += kFloatLanes) {
    const auto pixel = hn::ConvertTo(d, hn::PromoteTo(ints, hn::LoadU(bytes, x + i)));
    hn::StoreU(hn::MulAdd(pixel, hn::Load(d, scale + i), hn::Load(d, offset + i)), d, y + i);
  }
}

void scale_pixels(const ImageToFloat& args, std::int64_t begin, std::int64_t end) {
  const auto channels = static_cast<std::size_t>(args.channels);
  const std::size_t group = channels * kFloatLanes;
  HWY_ALIGN float scale[kMaxGroup];
  HWY_ALIGN float offset[kMaxGroup];
  for (std::size_t i = 0; i < group; ++i) {
    scale[i] = args.scale[i % channels];
    offset[i] = args.offset[i % channels];
  }
  const std::size_t first = static_cast<std::size_t>(begin) * channels;
  const std::size_t count = static_cast<std::size_t>(end - begin) * channels;
  const std::uint8_t* x = args.x + first;
  float* y = static_cast<float*>(args.y) + first;
  std::size_t i = 0;
  for (; i + group <= count; i += group) scale_group(x + i, scale, offset, y + i, group);
  if (i == count) return;
  // The same arithmetic for the last pixels, so that a pixel's value does not depend on its place.
  std::uint8_t last_x[kMaxGroup] = {};
  float last_y[kMaxGroup];
  std::memcpy(last_x, x + i, count - i);
  scale_group(last_x, scale, offset, last_y, group);
  std::memcpy(y + i, last_y, (count - i) * sizeof(float));
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(scale_pixels);

bool supports(const ImageToFloat& args) {
  return args.type == DType::f32 && args.channels >= 1 && args.channels <= kMaxImageChannels;
}

Status run(const ImageToFloat& args, const Launch& launch) {
  const auto function = HWY_DYNAMIC_DISPATCH(scale_pixels);
  run_pieces(pool_of(*launch.stream), args.pixels, kPiece / kMaxImageChannels,
             [&](std::int64_t begin, std::int64_t end) { function(args, begin, end); });
  return nullptr;
}

}  // namespace

void add_image_kernels(KernelTable& table) {
  table.image_to_float.add({"image_to_float_f32", supports, nullptr, run});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
