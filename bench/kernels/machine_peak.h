// What this machine can do at best, measured: the roof above every kernel.
#pragma once

namespace pila::bench {

struct MachinePeak {
  double gflops = 0;           // fused multiply-adds of float32 (two operations each) in registers
  double gigabytes_per_s = 0;  // read and written by a copy far larger than the caches
};

MachinePeak measure_machine_peak(int threads);

}  // namespace pila::bench
