// What a GPU can do at best.
#pragma once

#include "bench/layers/roofline.h"
#include "engine/core/context.h"

namespace pila::bench {

// Arithmetic from its properties (dense tensor cores in 16 bits, the highest clock), memory measured by a
// copy far larger than the caches. Throws DeviceError where the GPU does not say.
Roof measure_gpu_roof(const Context& ctx, DType type);

}  // namespace pila::bench
