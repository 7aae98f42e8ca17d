// Batch normalisation by given statistics folded into the convolution before it, and its gradients: a few
// weights for each channel.

#include <algorithm>

#include "kernels/args/norm.h"
#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

__device__ inline float number_at(const void* values, std::int64_t i) {
  return static_cast<const float*>(values)[i];
}

template <class Args>
__device__ float inverse_deviation(const Args& args, std::int64_t channel) {
  return 1 / sqrtf(number_at(args.variance, channel) + static_cast<float>(args.epsilon));
}

// One weight; those of the first row bring the biases along.
struct FoldedWeight {
  FoldBatchNorm args;

  __device__ void operator()(std::int64_t i) const {
    const std::int64_t channel = i % args.channels;
    const float scale = number_at(args.gamma, channel) * inverse_deviation(args, channel);
    if (i < args.channels) {
      static_cast<float*>(args.bias)[i] = fmaf(-number_at(args.mean, i), scale, number_at(args.beta, i));
    }
    if (i < args.rows * args.channels) static_cast<float*>(args.folded)[i] = number_at(args.w, i) * scale;
  }
};

Status run_fold(const FoldBatchNorm& args, const Launch& on) {
  return for_each(on, std::max<std::int64_t>(args.rows, 1) * args.channels, FoldedWeight{args});
}

// A block has kAcross channels, and kDown threads that share the rows of each.
constexpr int kAcross = 32, kDown = 32, kThreads = kAcross * kDown;

__global__ void __launch_bounds__(kThreads) fold_backward(FoldBatchNormBackward args) {
  const int across = static_cast<int>(threadIdx.x) % kAcross, down = static_cast<int>(threadIdx.x) / kAcross;
  const std::int64_t channel = static_cast<std::int64_t>(blockIdx.x) * kAcross + across;
  const bool inside = channel < args.channels;
  const float inverse = inside ? inverse_deviation(args, channel) : 0;
  float sum = 0;
  if (inside) {
    const float scale = number_at(args.gamma, channel) * inverse;
    for (std::int64_t row = down; row < args.rows; row += kDown) {
      const std::int64_t i = row * args.channels + channel;
      const float gradient = number_at(args.dfolded, i);
      sum = fmaf(gradient, number_at(args.w, i), sum);
      if (args.dw != nullptr) static_cast<float*>(args.dw)[i] = gradient * scale;
    }
  }
  float* sums = shared_memory<float>();
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (down != 0 || !inside || args.dgamma == nullptr) return;
  for (int other = 1; other < kDown; ++other) sum += sums[other * kAcross + across];
  sum = fmaf(-number_at(args.mean, channel), number_at(args.dbias, channel), sum);
  static_cast<float*>(args.dgamma)[channel] = sum * inverse;
}

Status run_fold_backward(const FoldBatchNormBackward& args, const Launch& on) {
  if (args.channels == 0) return nullptr;
  const auto blocks = static_cast<unsigned>(ceil_div(args.channels, kAcross));
  return launch(fold_backward, {dim3(blocks), dim3(kThreads), kThreads * sizeof(float)}, on, args);
}

}  // namespace

void add_fold_norm_kernels(KernelTable& table) {
  table.fold_batch_norm.add({"fold_batch_norm", is_float32<FoldBatchNorm>, nullptr, run_fold});
  table.fold_batch_norm_backward.add(
      {"fold_batch_norm_backward", is_float32<FoldBatchNormBackward>, nullptr, run_fold_backward});
}

}  // namespace pila::kernels::cuda
