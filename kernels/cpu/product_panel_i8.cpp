#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/product_panel_i8.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/product_panel_tiles.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

PanelKernels<Int8Quad> int8_kernels() {
  auto kernels =
      with_int8_step(has_dot_products(), [](auto step) { return make_panel_kernels<decltype(step)>(); });
  add_tiled(kernels);
  return kernels;
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(int8_kernels);
}  // namespace

template <>
const PanelKernels<Int8Quad>& panel_kernels<Int8Quad>() {
  static const PanelKernels<Int8Quad> kernels = HWY_DYNAMIC_DISPATCH(int8_kernels)();
  return kernels;
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
