#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/product_panel_f32.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/product_panel_tiles.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

PanelKernels<float> float_kernels() { return make_panel_kernels<FloatStep>(); }

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(float_kernels);
}  // namespace

template <>
const PanelKernels<float>& panel_kernels<float>() {
  static const PanelKernels<float> kernels = HWY_DYNAMIC_DISPATCH(float_kernels)();
  return kernels;
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
