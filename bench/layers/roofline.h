// The roof above every kernel: what a device's arithmetic and memory allow.
#pragma once

#include "bench/layers/task.h"

namespace pila::bench {

struct Roof {
  double flops_per_s = 0, bytes_per_s = 0;
};

// The least time that the work takes, in seconds.
double floor_seconds(const Work& work, const Roof& roof);

// What a GPU multiplies and adds per multiprocessor and clock: float32 in its ordinary units, 16 bits in its
// tensor cores, dense. Of capabilities that came after, that of the newest known one.
double multiply_adds_per_clock(int major, int minor, kernels::DType type);

}  // namespace pila::bench
