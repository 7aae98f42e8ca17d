// How the batch normalisation kernels walk over [rows, channels]; included like simd.h.

#if defined(PILA_KERNELS_CPU_NORM_CHANNELS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_NORM_CHANNELS_H_
#undef PILA_KERNELS_CPU_NORM_CHANNELS_H_
#else
#define PILA_KERNELS_CPU_NORM_CHANNELS_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_lanes.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// Calls body.step<rows at once>(lanes, first row, first channel) for all rows, blocks of rows outermost, so
// that what is kept per channel is loaded and stored once a block.
template <int kBlock, class Whole, class Body>
HWY_INLINE void for_blocks(std::size_t rows, std::size_t channels, const Body& body) {
  const std::size_t whole = channels / kFloatLanes * kFloatLanes;
  const FirstLanes rest{channels - whole};
  std::size_t r = 0;
  for (; r + kBlock <= rows; r += kBlock) {
    for (std::size_t c = 0; c < whole; c += kFloatLanes) body.template step<kBlock>(Whole(), r, c);
    if (rest.count > 0) body.template step<kBlock>(rest, r, whole);
  }
  for (; r < rows; ++r) {
    for (std::size_t c = 0; c < whole; c += kFloatLanes) body.template step<1>(Whole(), r, c);
    if (rest.count > 0) body.template step<1>(rest, r, whole);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
