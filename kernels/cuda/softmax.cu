// Softmax and its cross-entropy: a warp for each row, which it reads from cache again.

#include "kernels/args/loss.h"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/device/warp.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

constexpr int kWarps = 4;

// What a row's probabilities are made of: exp(x - largest) / sum.
struct Exponentials {
  float largest, sum;
};

// A lane's part is every 32nd number. All lanes get the result.
template <class T>
__device__ Exponentials exponentials_of(const T* row, std::int64_t columns) {
  float largest = -INFINITY;
  for (std::int64_t i = lane(); i < columns; i += 32) largest = fmaxf(largest, widen(row[i]));
  largest = reduce_warp(largest, [](float a, float b) { return fmaxf(a, b); });
  float sum = 0;
  for (std::int64_t i = lane(); i < columns; i += 32) sum += expf(widen(row[i]) - largest);
  return {largest, reduce_warp(sum, [](float a, float b) { return a + b; })};
}

__device__ inline std::int64_t row_of_warp() {
  return static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
}

template <class T>
__global__ void __launch_bounds__(kWarps * 32) softmax(SoftmaxForward args) {
  const std::int64_t row = row_of_warp();
  if (row >= args.rows) return;
  const T* x = static_cast<const T*>(args.x) + row * args.columns;
  T* y = static_cast<T*>(args.y) + row * args.columns;
  const Exponentials all = exponentials_of(x, args.columns);
  for (std::int64_t i = lane(); i < args.columns; i += 32) {
    y[i] = narrow<T>(expf(widen(x[i]) - all.largest) / all.sum);
  }
}

__global__ void __launch_bounds__(kWarps * 32) cross_entropy(CrossEntropyForward args) {
  const std::int64_t row = row_of_warp();
  if (row >= args.rows) return;
  const float* x = static_cast<const float*>(args.logits) + row * args.classes;
  const Exponentials all = exponentials_of(x, args.classes);
  const auto smoothing = static_cast<float>(args.smoothing);
  // Classes without a share in the target add nothing, even at a logit of -infinity.
  float sum = 0;  // of x - largest
  for (std::int64_t i = lane(); smoothing != 0 && i < args.classes; i += 32) sum += x[i] - all.largest;
  sum = reduce_warp(sum, [](float a, float b) { return a + b; });
  if (lane() != 0) return;
  const std::int32_t label = args.labels[row];
  const float target =
      (1 - smoothing) * (x[label] - all.largest) + smoothing * sum / static_cast<float>(args.classes);
  const float weight =
      args.class_weights == nullptr ? 1.0f : static_cast<const float*>(args.class_weights)[label];
  static_cast<float*>(args.losses)[row] = weight * (logf(all.sum) - target);
}

template <class T>
__global__ void __launch_bounds__(kWarps * 32) softmax_backward(SoftmaxBackward args) {
  const std::int64_t row = row_of_warp();
  if (row >= args.rows) return;
  const T* y = static_cast<const T*>(args.y) + row * args.columns;
  const T* dy = static_cast<const T*>(args.dy) + row * args.columns;
  T* dx = static_cast<T*>(args.dx) + row * args.columns;
  float sum = 0;
  for (std::int64_t i = lane(); i < args.columns; i += 32) sum = fmaf(widen(dy[i]), widen(y[i]), sum);
  sum = reduce_warp(sum, [](float a, float b) { return a + b; });
  for (std::int64_t i = lane(); i < args.columns; i += 32)
    dx[i] = narrow<T>(widen(y[i]) * (widen(dy[i]) - sum));
}

__global__ void __launch_bounds__(kWarps * 32) cross_entropy_backward(CrossEntropyBackward args) {
  const std::int64_t row = row_of_warp();
  if (row >= args.rows) return;
  const float* x = static_cast<const float*>(args.logits) + row * args.classes;
  float* dx = static_cast<float*>(args.dlogits) + row * args.classes;
  const Exponentials all = exponentials_of(x, args.classes);
  const std::int32_t label = args.labels[row];
  const float weight =
      args.class_weights == nullptr ? 1.0f : static_cast<const float*>(args.class_weights)[label];
  const float scale = static_cast<const float*>(args.dlosses)[row] * weight;
  const auto smoothing = static_cast<float>(args.smoothing);
  for (std::int64_t i = lane(); i < args.classes; i += 32) {
    const float target = (i == label ? 1 - smoothing : 0.0f) + smoothing / static_cast<float>(args.classes);
    dx[i] = scale * (expf(x[i] - all.largest) / all.sum - target);
  }
}

Grid grid_of(std::int64_t rows) {
  return {dim3(static_cast<unsigned>((rows + kWarps - 1) / kWarps)), dim3(kWarps * 32)};
}

Status run_softmax(const SoftmaxForward& args, const Launch& on) {
  if (args.rows == 0) return nullptr;
  return with_number(args.type, [&](auto number) {
    return launch(softmax<decltype(number)>, grid_of(args.rows), on, args);
  });
}

Status run_cross_entropy(const CrossEntropyForward& args, const Launch& on) {
  return args.rows == 0 ? nullptr : launch(cross_entropy, grid_of(args.rows), on, args);
}

Status run_softmax_backward(const SoftmaxBackward& args, const Launch& on) {
  if (args.rows == 0) return nullptr;
  return with_number(args.type, [&](auto number) {
    return launch(softmax_backward<decltype(number)>, grid_of(args.rows), on, args);
  });
}

Status run_cross_entropy_backward(const CrossEntropyBackward& args, const Launch& on) {
  return args.rows == 0 ? nullptr : launch(cross_entropy_backward, grid_of(args.rows), on, args);
}

}  // namespace

void add_softmax_kernels(KernelTable& table) {
  table.softmax_forward.add({"softmax", is_of_numbers<SoftmaxForward>, nullptr, run_softmax});
  table.softmax_backward.add(
      {"softmax_backward", is_of_numbers<SoftmaxBackward>, nullptr, run_softmax_backward});
  table.cross_entropy_forward.add(
      {"cross_entropy", is_float32<CrossEntropyForward>, nullptr, run_cross_entropy});
  table.cross_entropy_backward.add(
      {"cross_entropy_backward", is_float32<CrossEntropyBackward>, nullptr, run_cross_entropy_backward});
}

}  // namespace pila::kernels::cuda
