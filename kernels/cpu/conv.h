// The fast float32 convolutions, each with the scratch memory it wants.
#pragma once

#include <cstddef>

#include "kernels/kernel_table.h"

namespace pila::kernels::cpu {

Kernel<ConvForward> conv_forward_kernel();

std::size_t conv_backward_data_workspace(const ConvBackwardData& args, const Stream& stream);
Status conv_backward_data(const ConvBackwardData& args, const Launch& launch);

std::size_t conv_backward_filter_workspace(const ConvBackwardFilter& args, const Stream& stream);
Status conv_backward_filter(const ConvBackwardFilter& args, const Launch& launch);

}  // namespace pila::kernels::cpu
