#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/image.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>

#include "kernels/args/image.h"
#include "kernels/cpu/pixel_scale.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

void scale_pixels(const ImageToFloat& args, std::int64_t begin, std::int64_t end) {
  const PixelScale scale(args.scale, args.offset, args.channels);
  const std::int64_t first = begin * args.channels;
  scale.apply(args.x + first, static_cast<float*>(args.y) + first, (end - begin) * args.channels);
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
