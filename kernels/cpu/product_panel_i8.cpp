#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/product_panel_i8.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/product_panel_tiles.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// None where the instruction set has no such products, or needs none.
PanelKernels<Int8Quad> quad_kernels() {
  PanelKernels<Int8Quad> kernels;
#if PILA_DOT_PRODUCTS
  kernels = make_panel_kernels<Int8DotStep>();
  add_tiled(kernels);
#endif
  return kernels;
}

PanelKernels<Int8Pair> pair_kernels() {
#if PILA_NO_DOT_PRODUCTS
  return make_panel_kernels<Int8PairStep>();
#else
  return {};
#endif
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(quad_kernels);
HWY_EXPORT(pair_kernels);
}  // namespace

template <>
const PanelKernels<Int8Quad>& panel_kernels<Int8Quad>() {
  static const PanelKernels<Int8Quad> kernels = HWY_DYNAMIC_DISPATCH(quad_kernels)();
  return kernels;
}

template <>
const PanelKernels<Int8Pair>& panel_kernels<Int8Pair>() {
  static const PanelKernels<Int8Pair> kernels = HWY_DYNAMIC_DISPATCH(pair_kernels)();
  return kernels;
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
