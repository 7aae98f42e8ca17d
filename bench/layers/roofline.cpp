#include "bench/layers/roofline.h"

#include <algorithm>

namespace pila::bench {

double floor_seconds(const Work& work, const Roof& roof) {
  return std::max(work.flops / roof.flops_per_s, work.bytes / roof.bytes_per_s);
}

// CUDA's programming guide, arithmetic throughput by compute capability; NVIDIA's white papers on Ampere, Ada
// and Hopper, and Jetson AGX Orin's data sheet.
double multiply_adds_per_clock(int major, int minor, kernels::DType type) {
  const int capability = 10 * major + minor;
  if (type == kernels::DType::f32) return capability < 86 ? 64 : 128;
  switch (capability) {
    case 70:
    case 72:
    case 75:
    case 86:
    case 89:
      return 512;
    case 80:
    case 87:
      return 1024;
    default:
      return 2048;
  }
}

}  // namespace pila::bench
