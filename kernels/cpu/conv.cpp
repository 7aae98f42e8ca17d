#include "kernels/cpu/conv.h"

#include "kernels/cpu/families.h"

namespace pila::kernels::cpu {
namespace {

template <class Args>
bool is_float(const Args& args) {
  return args.type == DType::f32 && args.rounding == Precision::f32;
}

}  // namespace

void add_conv_kernels(KernelTable& table) {
  table.conv_forward.add(conv_forward_kernel());
  table.conv_backward_data.add({"conv_backward_data_f32_tiles", is_float<ConvBackwardData>,
                                conv_backward_data_workspace, conv_backward_data});
  table.conv_backward_filter.add({"conv_backward_filter_f32_tiles", is_float<ConvBackwardFilter>,
                                  conv_backward_filter_workspace, conv_backward_filter});
}

}  // namespace pila::kernels::cpu
