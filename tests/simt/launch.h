// What launch() of kernels/cuda/device/launch.cuh comes down to.
#pragma once

#include <functional>

#include "kernels/kernel_table.h"
#include "tests/simt/multiprocessor.h"

namespace pila::simt {

// Runs the grid under the stream's schedule. Returns what a thread did wrong.
kernels::Status launch(const GridShape& shape, const kernels::Stream& stream,
                       const std::function<void()>& kernel);

}  // namespace pila::simt
