#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/product_panel_bf16.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/product_panel_tiles.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

PanelKernels<BFloat16Pair> bfloat16_kernels() {
#if PILA_BFLOAT16
  auto kernels = make_panel_kernels<BFloat16Step>();
  add_tiled(kernels);
  return kernels;
#else
  return {};
#endif
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(bfloat16_kernels);
}  // namespace

template <>
const PanelKernels<BFloat16Pair>& panel_kernels<BFloat16Pair>() {
  static const PanelKernels<BFloat16Pair> kernels = HWY_DYNAMIC_DISPATCH(bfloat16_kernels)();
  return kernels;
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
