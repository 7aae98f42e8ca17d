// Batch normalisation by given statistics, for networks whose plan could not fold it away.

#include "kernels/args/norm.h"

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

template <class T>
struct Normalise {
  BatchNormInference args;

  __device__ float of_channel(const void* values, std::int64_t channel) const {
    return static_cast<const float*>(values)[channel];
  }
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t channel = i % args.channels;
    const float deviation = sqrtf(of_channel(args.variance, channel) + static_cast<float>(args.epsilon));
    const float x = widen(static_cast<const T*>(args.x)[i]) - of_channel(args.mean, channel);
    const float y = fmaf(x / deviation, of_channel(args.gamma, channel), of_channel(args.beta, channel));
    static_cast<T*>(args.y)[i] = narrow<T>(activate(args.activation, y));
  }
};

Status run_inference(const BatchNormInference& args, const Launch& on) {
  return with_number(args.type, [&](auto number) {
    return for_each(on, args.rows * args.channels, Normalise<decltype(number)>{args});
  });
}

}  // namespace

void add_norm_kernels(KernelTable& table) {
  table.batch_norm_inference.add(
      {"batch_norm_inference", is_of_numbers<BatchNormInference>, nullptr, run_inference});
}

}  // namespace pila::kernels::cuda
